import { type ArgumentsHost, Catch, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { context } from '#context';
import type { Log } from '#log';
import { PROBLEM_JSON, problemBody, toProblem } from '#problem';

/** Answers every error as a problem (RFC 9457). Bugs are logged with their stack; what a caller can mend is not. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(private readonly log: Log) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const problem = toProblem(error);
    if (problem.status === 500) this.log.error('request failed by a bug', { error });
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    if (reply.sent) return;
    void reply
      .status(problem.status)
      .headers(problem.headers)
      .type(PROBLEM_JSON)
      .send(JSON.stringify(problemBody(problem, context()?.traceId)));
  }
}
