import { Controller, Get, Header, Inject, type INestApplication, Res } from '@nestjs/common';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { Public } from '#auth';
import { Metrics } from '#metrics';

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
    this.made ??= SwaggerModule.createDocument(
      this.app!,
      info.addBearerAuth({ type: 'http', scheme: 'bearer' }, 'token').build(),
    );
    return this.made;
  }
}

/** What every process tells about itself. None of it is reachable through the gateway. */
@Controller()
@Public()
export class PlatformController {
  constructor(
    @Inject(Metrics) private readonly metrics: Metrics,
    @Inject(ApiDocument) private readonly document: ApiDocument,
  ) {}

  /** Everything measured here, in Prometheus' text format. */
  @Get('metrics')
  async text(@Res() reply: FastifyReply) {
    await reply.type(this.metrics.contentType).send(await this.metrics.text());
  }

  /** What this process answers, as OpenAPI 3.1. */
  @Get('openapi.json')
  @Header('content-type', 'application/json')
  openapi(): OpenAPIObject {
    return this.document.get();
  }
}
