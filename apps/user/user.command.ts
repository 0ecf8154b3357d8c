import { Body, Controller, HttpCode, Inject, Param, Patch, Post, Put, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { ArrayMaxSize, ArrayMinSize, ArrayUnique, IsArray, IsIn, IsOptional, IsString, Length } from 'class-validator';
import { Allow, currentCaller, Public } from '#auth';
import { Mail, MailConfig, mailParts } from '#mail';
import { Problem } from '#problem';
import {
  AnswersOutcomes,
  type Answer,
  CommandController,
  commandService,
  Input,
  notFound,
  type Outcome,
  Refuses,
  serve,
  Shape,
} from '#resource';
import { AnswersWithin } from '#service';
import { Staff, staffLearnt } from '#staff';
import { Accounts, present, Registration, User } from './account.js';
import { AccountsController } from './account.internal.js';
import { Arrivals, UserBatch } from './import/arrivals.js';
import { Link, Links } from './mail/link.js';
import { AccountLetters } from './mail/writer.js';
import { Newcomers } from './password/newcomers.js';
import { OwnPassword } from './password/own.js';
import { PASSWORD_LENGTH, Passwords } from './password/password.js';
import { SignIn } from './sign-in.js';
import { GrantedRole, Grants } from './staff/grants.js';
import { UserConfig } from './user-section.js';
import type { Role } from './user.events.js';

/** Every role there is. */
const ROLES: readonly Role[] = ['customer', 'cashier', 'usher', 'manager', 'chain-admin', 'operator'];
const Anyone = () => Allow('customer', 'cashier', 'usher', 'manager', 'chain-admin', 'operator');

/** What a user may do from now on. */
export class Roles {
  @IsArray()
  @ArrayMinSize(1)
  @ArrayMaxSize(ROLES.length)
  @ArrayUnique()
  @IsIn(ROLES, { each: true })
  roles: Role[];
}

/** A new password, and the one it takes the place of. */
export class PasswordChange {
  @IsString() @Length(1, 1000) current: string;
  @Shape({ minLength: PASSWORD_LENGTH[0], maxLength: PASSWORD_LENGTH[1] }) @IsString() @Length(1, 1000) password: string;
}

/** The word of whoever asks for their own account to be erased. */
export class Erasure {
  @IsOptional() @IsString() @Length(1, 1000) password?: string;
}

@Controller('users')
@Allow('chain-admin')
export class UserCommandController extends CommandController(User, 'user') {
  @Inject(Accounts) private readonly accounts: Accounts;
  @Inject(OwnPassword) private readonly own: OwnPassword;
  @Inject(Newcomers) private readonly newcomers: Newcomers;
  @Inject(Staff) private readonly staff: Staff;
  @Inject(Arrivals) private readonly arrivals: Arrivals;

  /** Become a customer. @throws Problem `user-exists` (409) when the e-mail has an account, whatever its case, `too-many-requests` (429) */
  @Post()
  @Public()
  @Refuses(429)
  override async create(
    @Input(Registration) body: User & Registration,
    @Req() request?: Pick<FastifyRequest, 'headers'>,
  ): Promise<Answer<User>> {
    await this.newcomers.admit([request?.headers['x-forwarded-for']].flat().at(-1));
    return this.accounts.register(body);
  }

  /** Bring customers from elsewhere, each told what became of it: accounts without a password, which their owners set as forgotten. */
  @Post('import')
  @AnswersWithin(2800)
  @HttpCode(200)
  @AnswersOutcomes()
  async import(@Input(UserBatch) batch: UserBatch): Promise<{ results: Outcome[] }> {
    await this.staff.actsEverywhere();
    return { results: await this.arrivals.bring(batch) };
  }

  @Patch(':id')
  @Anyone()
  override async patch(@Param('id') id: string, @Body() body: unknown): Promise<Answer<User>> {
    await this.mayChange(id);
    present(await this.find(id));
    return super.patch(id, body);
  }

  /** A user is erased, so that what refers to it stays whole: there is no such route. */
  override remove(id: string): Promise<void> {
    throw new Problem('method-not-allowed', 405, `user ${id} can be erased, not removed`);
  }

  /** Let an account sign in that waits for it. @throws Problem `out-of-bounds` (403) */
  @Post(':id/confirm')
  @HttpCode(200)
  async confirm(@Param('id') id: string): Promise<Answer<User>> {
    await this.staff.actsEverywhere();
    return this.accounts.confirm(await this.find(id));
  }

  /** Keep an account from signing in. @throws Problem `own-account`, `last-administrator` (409), `out-of-bounds` (403) */
  @Post(':id/disable')
  @HttpCode(200)
  async disable(@Param('id') id: string): Promise<Answer<User>> {
    await this.staff.actsEverywhere();
    const user = await this.find(id);
    // The row's own id: the one in the address may be in capitals.
    if (currentCaller().id === user.id)
      throw new Problem('own-account', 409, 'nobody disables the own account: ask another administrator');
    return this.accounts.disable(user);
  }

  /** Let it sign in again. @throws Problem `user-erased` (409), `out-of-bounds` (403) */
  @Post(':id/enable')
  @HttpCode(200)
  async enable(@Param('id') id: string): Promise<Answer<User>> {
    await this.staff.actsEverywhere();
    return this.accounts.enable(await this.find(id));
  }

  /** Roles that no place among the staff gives. @throws Problem `last-administrator`, `user-erased` (409), `out-of-bounds` (403) */
  @Put(':id/roles')
  async roles(@Param('id') id: string, @Input(Roles) { roles }: Roles): Promise<Answer<User>> {
    await this.staff.actsEverywhere();
    return this.accounts.setRoles(await this.find(id), roles);
  }

  /** Change one's own password, which ends all sessions. @throws Problem `wrong-password` (403), `too-many-requests` (429) */
  @Post(':id/password')
  @HttpCode(200)
  @Anyone()
  @Refuses(429)
  async password(@Param('id') id: string, @Input(PasswordChange) { current, password }: PasswordChange): Promise<Answer<User>> {
    if (currentCaller().id !== id) throw notFound('user', id);
    const user = await this.find(id);
    await this.own.check(id, current);
    return this.accounts.setPassword(user, password);
  }

  /** Leave nothing of a person: one's own account with the password, or any as administrator of all chains. */
  @Post(':id/erase')
  @HttpCode(200)
  @Anyone()
  @Refuses(429)
  async erase(@Param('id') id: string, @Input(Erasure) { password }: Erasure): Promise<Answer<User>> {
    await this.mayChange(id);
    const user = await this.find(id);
    if (currentCaller().id === user.id) await this.own.check(user.id, password ?? '');
    return this.accounts.erase(user);
  }

  /** Oneself, and whoever acts everywhere. */
  private async mayChange(id: string): Promise<void> {
    const caller = currentCaller();
    if (caller.id === id) return;
    if (!caller.roles.includes('chain-admin')) throw notFound('user', id);
    await this.staff.actsEverywhere();
  }
}

export const UserCommand = commandService({
  name: 'user-command',
  row: User,
  controller: UserCommandController,
  listens: true,
  tables: [Link, Mail, GrantedRole],
  learns: [staffLearnt],
  sections: [UserConfig, MailConfig],
  controllers: [AccountsController, Grants],
  providers: [Accounts, Arrivals, Newcomers, OwnPassword, Passwords, SignIn, Links, Staff, ...mailParts(AccountLetters)],
});

await serve(import.meta, UserCommand);
