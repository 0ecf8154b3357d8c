import type { KoaContextWithOIDC } from 'oidc-provider';
import type { Log } from '#log';
import { type Histogram, Metrics } from '#metrics';

type Labels = 'http_request_method' | 'http_route' | 'http_response_status_code';

/** Measures what is answered ahead of Nest, as Nest's own routes are measured. */
export class Measure {
  private readonly duration: Histogram<Labels>;

  constructor(
    metrics: Metrics,
    private readonly log: Log,
  ) {
    this.duration = metrics.histogram(
      'http_server_request_duration_seconds',
      'Time from the head of a request to the end of its answer.',
      ['http_request_method', 'http_route', 'http_response_status_code'],
    );
  }

  begin(ctx: KoaContextWithOIDC): void {
    const startedMs = performance.now();
    ctx.res.once('close', () => {
      const tookMs = performance.now() - startedMs;
      const status = ctx.res.statusCode;
      const route = `/oauth/${ctx.oidc?.route ?? pageOf(ctx.path, status)}`;
      const labels = { http_request_method: ctx.method, http_route: route, http_response_status_code: String(status) };
      this.duration.observe(labels, tookMs / 1000);
      this.log[status >= 500 ? 'warn' : 'debug']('request answered', {
        'http.request.method': ctx.method,
        'url.path': route,
        'http.response.status_code': status,
        'event.duration': Math.round(tookMs * 1e6),
      });
    });
  }
}

/** The page of a path, by its first part: never what somebody made up. */
function pageOf(path: string, status: number): string {
  if (status === 404) return 'none';
  const [, first = ''] = path.split('/');
  return ['interaction', 'register', 'confirm', 'forgot', 'reset'].includes(first) ? first : 'other';
}
