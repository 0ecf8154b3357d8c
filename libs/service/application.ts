import { type DynamicModule, type INestApplication, Module, type ValueProvider } from '@nestjs/common';
import { APP_FILTER, NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { TerminusModule } from '@nestjs/terminus';
import type { RequestListener } from 'node:http';
import { DataSource } from 'typeorm';
import { authProviders, Verifier } from '#auth';
import { Breakers } from '#breaker';
import { BusConfig, BusServer } from '#bus';
import { Client } from '#client';
import { Settings } from '#config';
import { Discovery } from '#discovery';
import { HealthController, Needs } from '#health';
import { Log } from '#log';
import { Metrics } from '#metrics';
import { OutboxConfig, type Publish, Relay } from '#outbox';
import { Storage } from '#storage';
import type { ServiceDefinition } from './definition.js';
import { fastifyOver, observe } from './http/fastify.js';
import { ProblemFilter } from './http/filter.js';
import type { HttpServer } from './http/server.js';
import { instanceId, type Parts, platformSections } from './parts.js';
import { ApiDocument, Instance, PlatformController } from './platform.js';
import { ServiceConfig } from './sections.js';

@Module({})
class Process {}

/** What an application is built from. */
export interface Blueprint {
  definition: ServiceDefinition;
  parts: Parts;
  slot: number;
}

/** What stands between the parts and Nest: made here, closed here. */
interface Fittings {
  needs: Needs;
  document: ApiDocument;
  relay?: Relay;
}

/** Everything a class of the process can ask for, each under its own class. */
function injectables({ definition, parts, slot }: Blueprint, { needs, document, relay }: Fittings): ValueProvider[] {
  const { env, log, settings, metrics, discovery, breakers, client, verifier, storage } = parts;
  const instance = new Instance({ name: definition.name, version: env.version, slot }, settings);
  const of = <T>(provide: abstract new (...args: never[]) => T, useValue: T): ValueProvider => ({ provide, useValue });
  return [
    of(Log, log),
    of(Settings, settings),
    of(Metrics, metrics),
    of(Discovery, discovery),
    of(Breakers, breakers),
    of(Client, client),
    of(Verifier, verifier),
    of(Needs, needs),
    of(ApiDocument, document),
    of(Instance, instance),
    ...(storage ? [of(Storage, storage), of(DataSource, storage.db)] : []),
    ...(relay ? [of(Relay, relay)] : []),
    ...[...platformSections, ...(definition.sections ?? [])].map((cls) => of(cls, settings.section(cls))),
  ];
}

function moduleOf(blueprint: Blueprint, fittings: Fittings): DynamicModule {
  const { definition, parts } = blueprint;
  const shared = injectables(blueprint, fittings);
  return {
    module: Process,
    global: true,
    imports: [TerminusModule.forRoot({ logger: false }), ...(definition.imports ?? [])],
    controllers: [HealthController, PlatformController, ...(definition.controllers ?? [])],
    providers: [
      ...shared,
      ...authProviders(parts.issuer),
      { provide: APP_FILTER, useValue: new ProblemFilter(parts.log) },
      ...(definition.providers ?? []),
    ],
    exports: shared.map(({ provide }) => provide),
  };
}

/** A Nest application that answers on the process's server. */
export interface Application {
  nest: INestApplication;
  needs: Needs;
  /** Stop events and jobs, then Nest. */
  close(): Promise<void>;
}

function fit({ definition, parts }: Blueprint): Fittings {
  const { env, log, metrics, settings, storage, events } = parts;
  const { name, emits } = definition;
  const needs = new Needs();
  if (storage) needs.need('the database', () => storage.ping());
  const config = settings.section(OutboxConfig);
  const publish: Publish | undefined = events && ((tx, some) => events.publish(tx, some));
  const relay = storage && emits ? new Relay({ storage, process: name, log, metrics, config, publish }) : undefined;
  return { needs, relay, document: new ApiDocument(name, env.version) };
}

/** Build the application over its parts and let it answer requests on `http`. */
export async function standUp(blueprint: Blueprint, http: HttpServer): Promise<Application> {
  const { definition, parts } = blueprint;
  const { log, metrics, settings, storage, events: source } = parts;
  const fittings = fit(blueprint);
  const config = settings.section(ServiceConfig);
  let rest: RequestListener | undefined;
  const adapter = fastifyOver(http, config, (handler) => (rest = handler));
  const nest = await NestFactory.create<NestFastifyApplication>(moduleOf(blueprint, fittings), adapter, {
    logger: log.forNest(),
    bodyParser: false,
    abortOnError: false,
  });
  observe(adapter.getInstance(), metrics, log);
  definition.hooks?.(adapter.getInstance());
  if (definition.listens && storage) {
    const instance = instanceId(definition.name, blueprint.slot);
    const config = settings.section(BusConfig);
    const strategy = new BusServer({ storage, process: definition.name, instance, log, metrics, config, source });
    BusServer.join(nest, strategy);
  }
  await nest.init();
  await adapter.getInstance().ready();
  fittings.document.of(nest);
  http.limits(config);
  http.serve(rest!, await definition.listener?.(nest));
  if (definition.listens) await nest.startAllMicroservices();
  fittings.relay?.start();
  const close = async () => {
    await fittings.relay?.stop();
    await nest.close();
  };
  return { nest, needs: fittings.needs, close };
}
