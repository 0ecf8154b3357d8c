import type { PropertySource } from '#config';
import { assignments, inForce } from './config.js';

describe('mesh config', () => {
  it('reads a key and a value, or any number of key=value', () => {
    expect(assignments(['breaker.timeoutMs', '500'])).toEqual([{ key: 'breaker.timeoutMs', value: 500 }]);
    expect(assignments(['a.b=1', 'c.d=off=2'])).toEqual([
      { key: 'a.b', value: 1 },
      { key: 'c.d', value: 'off=2' },
    ]);
  });

  it('takes values as YAML does: numbers, true, false, null, text', () => {
    expect(assignments(['a.b=true', 'a.c=null', 'a.d=', 'a.e=debug', "a.f='5'"]).map(({ value }) => value)).toEqual([true, null, null, 'debug', '5']); // prettier-ignore
  });

  it('says what it wants when it gets something else', () => {
    expect(() => assignments(['breaker.timeoutMs'])).toThrow("'breaker.timeoutMs' is not key=value");
  });

  it('shows of each key the first source that has it', () => {
    const propertySources: PropertySource[] = [
      { name: 'override:application/default', source: { 'a.b': 2 } },
      { name: 'application.yml', source: { 'a.b': 1, 'a.a': 3 } },
    ];
    expect(inForce({ propertySources })).toEqual([
      { key: 'a.a', value: 3, source: 'application.yml' },
      { key: 'a.b', value: 2, source: 'override:application/default' },
    ]);
  });
});
