import { Body, Controller, Get, HttpCode, Inject, Param, Post, Query } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { IsString, Length } from 'class-validator';
import { AllowClients } from '#auth';
import { Input, notFound } from '#resource';
import { Accounts, User } from './account.js';
import { SignIn } from './sign-in.js';

/** What is typed into a sign-in form. */
export class Credentials {
  @IsString() @Length(1, 1000) email: string;
  @IsString() @Length(0, 1000) password: string;
}

/** Whose account is meant. */
export class Address {
  @IsString() @Length(1, 1000) email: string;
}

/** What a link in an e-mail carries. */
export class Token {
  @IsString() @Length(1, 200) token: string;
}

/** A new password, with the link that lets its owner choose one. */
export class Reset extends Token {
  /** 10 to 200 characters. */
  @IsString() @Length(1, 1000) password: string;
}

/** What a column does not hold is left out, as in events. */
const accountOf = (user: User) => ({ id: user.id, ...User.state(user) });

/** What other processes ask about accounts. The gateway routes none of it. */
@Controller('internal/accounts')
@ApiExcludeController()
@AllowClients('oauth')
export class AccountsController {
  constructor(
    @Inject(Accounts) private readonly accounts: Accounts,
    @Inject(SignIn) private readonly signIn: SignIn,
  ) {}

  /** Whether these are an account's e-mail and password, and whether it may sign in. */
  @Post('check')
  @HttpCode(200)
  check(@Input(Credentials) { email, password }: Credentials) {
    return this.signIn.check(email, password);
  }

  /** @throws Problem `link-expired` (410) */
  @Post('confirm')
  @HttpCode(200)
  confirm(@Input(Token) { token }: Token) {
    return this.signIn.confirm(token);
  }

  /** Send a link, if there is such an account; nobody is told whether. */
  @Post('forgot')
  @HttpCode(204)
  forgot(@Input(Address) { email }: Address): Promise<void> {
    return this.signIn.forgot(email);
  }

  /** @throws Problem `link-expired` (410), `invalid-input` (400) */
  @Post('reset')
  @HttpCode(200)
  reset(@Input(Reset) { token, password }: Reset) {
    return this.signIn.reset(token, password);
  }

  /** Make the first administrator. @throws Problem `administrator-exists` (409) */
  @Post('first')
  @AllowClients('mesh-cli')
  first(@Body() _nothing: unknown) {
    return this.accounts.makeFirst();
  }

  /** A new password, told once. @throws Problem `not-found` (404) */
  @Post('password')
  @HttpCode(200)
  @AllowClients('mesh-cli')
  password(@Input(Address) { email }: Address) {
    return this.accounts.renewPassword(email);
  }

  /** @throws Problem `not-found` (404) */
  @Get()
  async byEmail(@Query('email') email: unknown) {
    const user = typeof email === 'string' ? await this.accounts.byEmail(email) : null;
    if (!user) throw notFound('user', String(email));
    return accountOf(user);
  }

  /** Also for who writes to the buyers of tickets. @throws Problem `not-found` (404), also when it is erased */
  @Get(':id')
  @AllowClients('oauth', 'purchase-command')
  async byId(@Param('id') id: string) {
    const user = await this.accounts.rows.find(id);
    if (user.erased) throw notFound('user', id);
    return accountOf(user);
  }
}
