import { Controller, Get, Header, Inject, type INestApplication, Res } from '@nestjs/common';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { Public } from '#auth';
import type { Settings } from '#config';
import { Metrics } from '#metrics';
import { describeAccess, type RouteAccess, routesOf } from './routes.js';

/** The OpenAPI document of a process, made when it is first asked for: most processes are asked once, by the gateway. */
export class ApiDocument {
  private made?: OpenAPIObject;
  private app?: INestApplication;

  constructor(
    private readonly name: string,
    private readonly version: string,
  ) {}

  of(app: INestApplication): void {
    this.app = app;
  }

  get(): OpenAPIObject {
    const info = new DocumentBuilder().setTitle(this.name).setVersion(this.version).setOpenAPIVersion('3.1.0');
    if (this.made) return this.made;
    const bearer = info.addBearerAuth({ type: 'http', scheme: 'bearer' }, 'token').build();
    this.made = SwaggerModule.createDocument(this.app!, bearer);
    describeAccess(this.made, this.routes());
    return this.made;
  }

  /** Every route, and who may call it. */
  routes(): RouteAccess[] {
    return routesOf(this.app!);
  }
}

/** What one instance is and runs. */
export interface Info {
  name: string;
  version: string;
  slot: number;
  pid: number;
  startedAt: string;
  /** Which configuration it runs, and where that came from. */
  config: { revision: string; origin: string };
}

/** The facts of an instance that do not change, and a way to those that do. */
export class Instance {
  private readonly startedAt = new Date().toISOString();

  constructor(
    private readonly facts: Pick<Info, 'name' | 'version' | 'slot'>,
    private readonly settings: Settings,
  ) {}

  info(): Info {
    const { revision, origin } = this.settings;
    return { ...this.facts, pid: process.pid, startedAt: this.startedAt, config: { revision, origin } };
  }
}

/** What every process tells about itself. None of it is reachable through the gateway. */
@Controller()
@Public()
export class PlatformController {
  constructor(
    @Inject(Metrics) private readonly metrics: Metrics,
    @Inject(ApiDocument) private readonly document: ApiDocument,
    @Inject(Instance) private readonly instance: Instance,
  ) {}

  /** Which instance this is, and which configuration it runs. */
  @Get('info')
  info(): Info {
    return this.instance.info();
  }

  /** Everything measured here, in Prometheus' text format. */
  @Get('metrics')
  async text(@Res() reply: FastifyReply) {
    await reply.type(this.metrics.contentType).send(await this.metrics.text());
  }

  /** Who may call what here: the gateway refuses by it before anything reaches this process. */
  @Get('access')
  access(): RouteAccess[] {
    return this.document.routes();
  }

  /** What this process answers, as OpenAPI 3.1. */
  @Get('openapi.json')
  @Header('content-type', 'application/json')
  openapi(): OpenAPIObject {
    return this.document.get();
  }
}
