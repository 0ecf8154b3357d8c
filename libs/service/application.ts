import { type DynamicModule, type INestApplication, Module, type Provider } from '@nestjs/common';
import { APP_FILTER, NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { TerminusModule } from '@nestjs/terminus';
import type { RequestListener } from 'node:http';
import { DataSource } from 'typeorm';
import { authProviders, type TokenIssuer } from '#auth';
import { Breakers } from '#breaker';
import { BusConfig, BusServer } from '#bus';
import { Client } from '#client';
import { Settings } from '#config';
import { runWithout } from '#context';
import { Discovery } from '#discovery';
import { HealthController, Needs } from '#health';
import { Log } from '#log';
import { Metrics } from '#metrics';
import { OutboxConfig, Relay } from '#outbox';
import { Storage } from '#storage';
import type { ServiceDefinition } from './definition.js';
import { fastifyOver, observe } from './http/fastify.js';
import { ProblemFilter } from './http/filter.js';
import type { HttpServer } from './http/server.js';
import { type Parts, platformSections } from './parts.js';
import { ApiDocument, PlatformController } from './platform.js';
import { ServiceConfig } from './sections.js';

@Module({})
class Process {}

/** The parts as Nest providers, each under its class. */
function values(definition: ServiceDefinition, parts: Parts, needs: Needs, document: ApiDocument): Provider[] {
  const { log, settings, metrics, discovery, breakers, client, storage } = parts;
  const of = <T>(provide: abstract new (...args: never[]) => T, useValue: T): Provider => ({ provide, useValue });
  const stored = storage ? [of(Storage, storage), of(DataSource, storage.db)] : [];
  const sections = [...platformSections, ...(definition.sections ?? [])].map((cls) => of(cls, settings.section(cls)));
  return [
    of(Log, log),
    of(Settings, settings),
    of(Metrics, metrics),
    of(Discovery, discovery),
    of(Breakers, breakers),
    of(Client, client),
    of(Needs, needs),
    of(ApiDocument, document),
    ...stored,
    ...sections,
  ];
}

function moduleOf(
  definition: ServiceDefinition,
  parts: Parts,
  needs: Needs,
  document: ApiDocument,
  relay?: Relay,
  issuer?: TokenIssuer,
) {
  const shared = [...values(definition, parts, needs, document), ...(relay ? [{ provide: Relay, useValue: relay }] : [])];
  const module: DynamicModule = {
    module: Process,
    global: true,
    imports: [TerminusModule.forRoot({ logger: false }), ...(definition.imports ?? [])],
    controllers: [HealthController, PlatformController, ...(definition.controllers ?? [])],
    providers: [
      ...shared,
      ...authProviders(issuer),
      { provide: APP_FILTER, useValue: new ProblemFilter(parts.log) },
      ...(definition.providers ?? []),
    ],
    exports: shared.map((provider) => (provider as { provide: symbol }).provide),
  };
  return module;
}

/** A Nest application that answers on the process's server. */
export interface Application {
  nest: INestApplication;
  needs: Needs;
  /** Stop events and jobs, then Nest. */
  close(): Promise<void>;
}

/** Build the application over its parts and let it answer requests. */
export async function standUp(
  definition: ServiceDefinition,
  parts: Parts,
  http: HttpServer,
  issuer?: TokenIssuer,
): Promise<Application> {
  const { log, metrics, settings, storage } = parts;
  const needs = new Needs();
  if (storage) needs.need('the database', () => storage.ping());
  const document = new ApiDocument(definition.name, parts.env.version);
  const relay =
    storage && definition.emits
      ? new Relay({ storage, process: definition.name, log, metrics, config: settings.section(OutboxConfig) })
      : undefined;
  let rest: RequestListener | undefined;
  const config = settings.section(ServiceConfig);
  const adapter = fastifyOver(http, config, (handler) => (rest = handler));
  const module = moduleOf(definition, parts, needs, document, relay, issuer);
  const nest = await NestFactory.create<NestFastifyApplication>(module, adapter, {
    logger: log.forNest(),
    bodyParser: false,
    abortOnError: false,
  });
  observe(adapter.getInstance(), metrics, log);
  if (definition.listens && storage) {
    const strategy = new BusServer({ storage, process: definition.name, log, metrics, config: settings.section(BusConfig) });
    // The HTTP guard and filter stay out of events: there is no caller, and an error must reach the strategy.
    nest.connectMicroservice({ strategy }, { inheritAppConfig: false });
  }
  await nest.init();
  await adapter.getInstance().ready();
  document.of(nest);
  http.limits(config);
  http.serve(rest!, await definition.listener?.(nest));
  if (definition.listens) await runWithout(() => nest.startAllMicroservices());
  relay?.start();
  const close = async () => {
    await relay?.stop();
    await nest.close();
  };
  return { nest, needs, close };
}
