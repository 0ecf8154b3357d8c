import { Controller, type Type } from '@nestjs/common';
import { Ctx, EventPattern } from '@nestjs/microservices';
import { type BusContext, forget } from '#bus';
import type { AuditEntry } from './audit.js';

/**
 * Lets the log forget what an erased person's events said before, as soon as it has the event that says nothing of them: it keeps
 * the last event of each key.
 *
 * @param name     the resource, the first part of its events' names
 * @param process  whose blanked audit records are concerned: each looks after its own
 */
export function eraser(name: string, process: string): Type {
  @Controller()
  class Eraser {
    @EventPattern<string>(`${name}.erased`)
    async erased(@Ctx() { event, tx }: BusContext): Promise<void> {
      await forget(tx, name, event.key);
    }

    @EventPattern<string>('audit.blanked')
    async blanked(@Ctx() { event, tx }: BusContext<AuditEntry>): Promise<void> {
      if (event.body.process === process) await forget(tx, 'audit', event.key);
    }
  }
  return Eraser;
}
