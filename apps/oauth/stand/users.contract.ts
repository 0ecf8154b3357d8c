import { Body, Controller, Get, HttpCode, Param, Post, Query } from '@nestjs/common';
import { v7 as uuidv7 } from 'uuid';
import { Public } from '#auth';
import { Problem } from '#problem';
import { service, type ServiceDefinition } from '#service';
import type { Account } from '../provider/accounts.js';

/** An account of the stand-in, with what the real one keeps to itself. */
export interface StandIn extends Account {
  password: string;
  unconfirmedBy: 'email' | 'administrator';
}

/** A stand-in for `user-command`: the routes that `oauth` calls, over accounts in memory. */
export interface Users {
  definition: ServiceDefinition;
  all: StandIn[];
  add(account: Partial<StandIn>): StandIn;
  /** Every request it got, as method and path. */
  asked: string[];
}

export function standInForUsers(): Users {
  const all: StandIn[] = [];
  const asked: string[] = [];
  const add = (account: Partial<StandIn>): StandIn => {
    const id = uuidv7();
    const made: StandIn = {
      ...{ id, email: `${id}@example.com`, password: 'correct horse', roles: ['customer'] },
      ...{ confirmed: true, disabled: false, unconfirmedBy: 'email', language: 'es', ...account },
    };
    all.push(made);
    return made;
  };
  const find = (id: string) => all.find((account) => account.id === id);
  const byEmail = (email: string) => all.find((account) => account.email.toLowerCase() === email.toLowerCase());
  const shown = (account?: StandIn) => {
    if (!account) throw new Problem('not-found', 404, 'there is no such account');
    const { password: _password, unconfirmedBy: _by, ...rest } = account;
    return rest;
  };
  const expired = () => new Problem('link-expired', 410, 'this link works no more');

  @Controller()
  @Public()
  class StandInController {
    @Post('api/users') register(@Body() body: { email: string; password: string; name?: string }) {
      asked.push('POST /api/users');
      if (byEmail(body.email)) throw new Problem('user-exists', 409, 'there is an account already');
      if (body.password.length < 10) {
        const errors = [{ pointer: '/password', detail: 'must have 10 to 200 characters' }];
        throw new Problem('invalid-input', 400, 'the input is wrong', { errors });
      }
      return shown(add({ ...body, confirmed: !body.email.startsWith('unconfirmed') }));
    }
    @Post('internal/accounts/check') @HttpCode(200) check(@Body() { email, password }: { email: string; password: string }) {
      asked.push('POST /internal/accounts/check');
      const account = byEmail(email);
      if (!account || account.password !== password) return { outcome: 'wrong' };
      if (account.disabled) return { outcome: 'disabled' };
      return account.confirmed
        ? { outcome: 'ok', account: shown(account) }
        : { outcome: 'unconfirmed', by: account.unconfirmedBy };
    }
    @Get('internal/accounts/:id') one(@Param('id') id: string) {
      return shown(find(id));
    }
    @Get('internal/accounts') named(@Query('email') email: string) {
      return shown(byEmail(email));
    }
    @Post('internal/accounts/confirm') @HttpCode(200) confirm(@Body() { token }: { token: string }) {
      const account = find(token);
      if (!account) throw expired();
      account.confirmed = true;
      return { email: account.email };
    }
    @Post('internal/accounts/forgot') @HttpCode(204) forgot() {
      asked.push('POST /internal/accounts/forgot');
    }
    @Post('internal/accounts/reset') @HttpCode(200) reset(@Body() { token, password }: { token: string; password: string }) {
      const account = find(token);
      if (!account) throw expired();
      Object.assign(account, { password, signedOutAt: new Date().toISOString() });
      return {};
    }
  }
  return { definition: service({ name: 'user-command', controllers: [StandInController] }), all, add, asked };
}
