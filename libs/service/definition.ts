import type { DynamicModule, Provider, Type } from '@nestjs/common';
import type { INestApplication } from '@nestjs/common';
import type { FastifyInstance } from 'fastify';
import type { Server } from 'node:http';
import type { SectionClass } from '#config';
import type { Listener } from './http/server.js';

/** What makes one process different from the others. */
export interface ServiceOptions {
  /** Its one name: in discovery, nest-cli.json, docker-compose.yml, config/, logs and metrics. */
  name: string;
  /** Public paths it answers, `/api/movies`; the gateway routes by them. */
  routes?: readonly string[];
  /** Further tags in discovery. */
  tags?: readonly string[];
  /** Configuration sections of its own, beside those of the rooms. */
  sections?: readonly SectionClass[];
  /** Tables it owns. With any, it gets a schema, a database role and migrations. */
  tables?: readonly Type[];
  /** True when it emits events with its rows: it then has an outbox and a relay. */
  emits?: boolean;
  /** True when it has `@EventPattern` handlers. */
  listens?: boolean;
  controllers?: readonly Type[];
  providers?: readonly Provider[];
  imports?: readonly DynamicModule[];
  /** The port when none is given from outside; most processes take any free one. */
  port?: number;
  /** A server for the outside on that port, answered by `listener` alone; health, metrics and the rest stay on the other, free port. */
  door?: { port: number; listener: (app: INestApplication, server: Server) => Listener | Promise<Listener> };
  /** What the HTTP server does with every request, told it before it has routes. */
  hooks?: (fastify: FastifyInstance) => void;
  /** Answers ahead of Nest, made once the application stands. */
  listener?: (app: INestApplication) => Listener | Promise<Listener>;
  /** Called when the drain is over and the process waits for what is under way: to end answers that would go on for ever. */
  stopping?: (app: INestApplication) => void;
  /** What its configuration begins with: the server's word, or the files, for those that the server itself stands on. */
  settings?: 'server' | 'files';
  /** Names of secrets it does not start without, beside the one it proves itself by, `TICKET_KEY`. */
  secrets?: readonly string[];
  /** Names of the services it calls: a breaker is declared for each from the start. */
  calls?: readonly string[];
}

/** A process ready to be launched: alone by `serve()`, or folded with others. */
export interface ServiceDefinition extends ServiceOptions {
  readonly kind: 'service';
}

/** Define a process. The parts that every process has are added when it is launched. */
export const service = (options: ServiceOptions): ServiceDefinition => ({ ...options, kind: 'service' });

/** What a process tells about itself while it starts, runs and stops. */
export interface ProcessState {
  name: string;
  slot: number;
  pid: number;
  state: 'starting' | 'waiting' | 'ready' | 'degraded' | 'stopping' | 'stopped';
  /** In sentences; empty when ready. */
  waitingFor: string[];
  url?: string;
}

/** Whether a value exported by a process's file is its definition. */
export const isServiceDefinition = (value: unknown): value is ServiceDefinition =>
  typeof value === 'object' && value !== null && (value as { kind?: unknown }).kind === 'service';
