import { join } from 'node:path';
import {
  Body,
  Controller,
  Get,
  Headers,
  HttpCode,
  Inject,
  Injectable,
  Param,
  Post,
  Put,
  Query,
  Res,
  ValidationPipe,
} from '@nestjs/common';
import { Type } from 'class-transformer';
import { IsIn, IsInt, IsOptional, IsString, Length, Matches, Max, Min, ValidateIf, type ValidationError } from 'class-validator';
import type { FastifyReply } from 'fastify';
import { Allow, currentCaller, Public } from '#auth';
import { type ConfigEnvironment, ConfigFiles, environment, readSections, revisionOf, type Scalar } from '#config';
import { invalidInput, Problem } from '#problem';
import { platformSections, serve, service } from '#service';
import { ConfigChange, Overrides } from './overrides.js';

const NAME = /^[a-z][a-z0-9-]{0,62}$/;
const KEY = /^[a-zA-Z][\w-]*(\.[a-zA-Z][\w-]*|\[\d{1,3}\])+$/;

/** A value to set at run time. */
export class Override {
  /** Whom it concerns: a process's name, or `application` for all. */
  @IsOptional()
  @Matches(NAME)
  application = 'application';

  /** In which profile, or `default` for all. */
  @IsOptional()
  @Matches(NAME)
  profile = 'default';

  /** Full key, `breaker.timeoutMs`. */
  @IsString()
  @Matches(KEY, { message: 'key must be a full key such as breaker.timeoutMs' })
  key: string;

  /** The value, or null to let the files decide again. */
  @ValidateIf(({ value }: Override) => value === undefined || typeof value === 'object')
  @IsIn([null], {
    message: 'value must be a string, a number, true, false, or null to remove the override; of a list set key[0], key[1], …',
  })
  value: Scalar;

  /** Who says so, beside the account that does: one account may serve several people. */
  @IsOptional()
  @IsString()
  @Length(1, 100)
  author?: string;
}

/** Which changes to list. */
export class HistoryQuery {
  @IsOptional() @Matches(NAME) application?: string;
  @IsOptional() @Matches(NAME) profile?: string;
  @IsOptional() @Matches(KEY) key?: string;
  @IsOptional() @Type(() => Number) @IsInt() @Min(1) @Max(1000) limit = 50;
}

/** How far back to go. */
export class Rollback {
  /** Everything is to be as it was right after this revision; 0 removes all overrides. */
  @IsString() @Matches(/^\d{1,18}$/) to: string;
  @IsOptional() @IsString() @Length(1, 100) author?: string;
}

const faults = (errors: ValidationError[]) =>
  invalidInput(
    errors.map(({ property, constraints = {} }) => ({ pointer: `/${property}`, detail: Object.values(constraints).join(', ') })),
  );
const checked = new ValidationPipe({ whitelist: true, forbidNonWhitelisted: true, transform: true, exceptionFactory: faults });

const authorOf = (claimed?: string) => (claimed ? `${claimed} (${currentCaller().id})` : currentCaller().id);

/** What is in force: the overrides over the files. */
@Injectable()
export class InForce {
  private readonly files = new ConfigFiles(join(environment().root, 'config'));

  constructor(@Inject(Overrides) private readonly overrides: Overrides) {}

  of(name: string, profiles: string[]): ConfigEnvironment {
    const propertySources = [...this.overrides.sources(name, profiles), ...this.files.sources(name, profiles)];
    return { name, profiles, label: null, version: revisionOf(propertySources), state: null, propertySources };
  }
}

/** Spring Cloud Config's environment endpoint over config/ and the overrides. @source Spring Cloud Config Server */
@Controller()
export class ConfigController {
  constructor(@Inject(InForce) private readonly inForce: InForce) {}

  @Get(':application/:profile')
  @Public()
  async read(
    @Param('application') application: string,
    @Param('profile') profile: string,
    @Headers('if-none-match') known: string | undefined,
    @Res() reply: FastifyReply,
  ) {
    const profiles = profile.split(',');
    if (![application, ...profiles].every((name) => NAME.test(name))) {
      throw new Problem('not-found', 404, 'names of applications and profiles are lower-case letters, digits and dashes');
    }
    const answer = this.inForce.of(application, profiles);
    const etag = `"${answer.version}"`;
    if (known === etag) await reply.status(304).header('ETag', etag).send();
    else await reply.header('ETag', etag).send(answer);
  }
}

/** Values changed at run time, with author, time and what was before. */
@Controller('overrides')
@Allow('operator')
export class OverridesController {
  constructor(
    @Inject(Overrides) private readonly overrides: Overrides,
    @Inject(InForce) private readonly inForce: InForce,
  ) {}

  /** @throws Problem `invalid-input` (400) with key and expected type when a section refuses the value */
  @Put()
  async set(@Body(checked) { application, profile, key, value, author }: Override) {
    const change = { application, profile, key, value };
    refuseWrong([change], this.inForce);
    const [made] = await this.overrides.change([change], authorOf(author));
    return made;
  }

  @Get('history')
  async history(@Query(checked) { limit, ...where }: HistoryQuery) {
    return { items: await this.overrides.history(where, limit) };
  }

  @Post('rollback')
  @HttpCode(200)
  async rollback(@Body(checked) { to, author }: Rollback) {
    const changes = await this.overrides.since(to);
    return { items: changes.length === 0 ? [] : await this.overrides.change(changes, authorOf(author)) };
  }
}

/** The rooms' sections are known here, so a value they would refuse is refused before anyone is told of it. */
function refuseWrong(changes: readonly { application: string; profile: string; key: string; value: Scalar }[], inForce: InForce) {
  for (const { application, profile, key, value } of changes) {
    if (value === null) continue;
    const profiles = profile === 'default' ? [environment().profile] : [profile];
    const others = inForce.of(application, profiles).propertySources;
    const sources = [{ name: 'this change', source: { [key]: value } }, ...others];
    const wrong = readSections(platformSections, sources)
      .flatMap(({ faults }) => faults)
      .filter((fault) => fault.key === key);
    if (wrong.length > 0) throw invalidInput(wrong.map(({ expected }) => ({ pointer: '/value', detail: `${key}: ${expected}` })));
  }
}

/** Serves config/ and what was changed at run time to every process. */
export const ConfigServer = service({
  name: 'config',
  port: 8888,
  settings: 'files',
  tables: [ConfigChange],
  controllers: [OverridesController, ConfigController],
  providers: [Overrides, InForce],
});

await serve(import.meta, ConfigServer);
