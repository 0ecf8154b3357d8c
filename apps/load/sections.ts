import { fileSettings } from '#config';
import { silentLog } from '#log';
import type { ChildOptions } from './child.js';

/** A configuration section as that process would read it. */
export function section<T extends object>(cls: new () => T, process: string, { over = {} }: ChildOptions): T {
  const settings = fileSettings({ process, profile: 'production', sections: [cls], log: silentLog, over });
  settings.close();
  return settings.section(cls);
}
