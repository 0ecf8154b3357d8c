import { Catch, type ExceptionFilter } from '@nestjs/common';
import { throwError, type Observable } from 'rxjs';

/** Lets a handler's error reach the bus as it is; Nest's own filter would log it and hand on "Internal server error". */
@Catch()
export class HandlerErrors implements ExceptionFilter<unknown> {
  catch(error: unknown): Observable<never> {
    return throwError(() => error);
  }
}
