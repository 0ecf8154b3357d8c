import { Writable } from 'node:stream';
import { JsonScreen, LiveScreen, PlainScreen, factLines } from './screen.js';
import { tableLines, type Row } from './table.js';

const row = (name: string, state: string, detail = ''): Row => ({ name, state, detail, sinceMs: 1000 });
const look = { colour: false, width: 60 };

/** Something to write on, read from where the last reading ended. */
function paper() {
  let written = '';
  const out = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      written += chunk.toString();
      done();
    },
  });
  const text = () => {
    const said = written;
    written = '';
    return said;
  };
  return { out, text };
}

describe('the table', () => {
  it('shows each process with what it waits for and for how long', () => {
    expect(tableLines({ rows: [row('gateway', 'waiting', 'discovery'), row('config', 'ready')] }, 3500, look)).toEqual([
      expect.stringMatching(/^ {2}. gateway {2}waiting {2}2\.5 s {2}discovery$/u),
      '  ✔ config   ready',
    ]);
  });

  it('keeps to the width of the terminal', () => {
    const [line] = tableLines({ rows: [row('gateway', 'waiting', 'x'.repeat(200))] }, 1000, look);
    expect(line!.length).toBeLessThanOrEqual(60);
    expect(line).toMatch(/…$/);
  });

  it('never grows taller than the terminal: what is ready becomes one line', () => {
    const rows = Array.from({ length: 30 }, (_, n) => row(`p${n}`, n < 20 ? 'ready' : 'waiting', 'x'));
    const lines = tableLines({ rows }, 1000, { ...look, height: 24 });
    expect(lines).toHaveLength(11);
    expect(lines[0]).toBe('  ✔ 20 of 30  ready');
    expect(tableLines({ rows: rows.slice(20) }, 1000, { ...look, height: 8 }).length).toBeLessThan(8);
  });

  it('tells how far the import is while it lasts', () => {
    expect(tableLines({ rows: [], films: { done: 1203, total: 3201 } }, 0, look)).toEqual(['  ⋯ 1,203 of 3,201 films imported']);
    expect(tableLines({ rows: [], films: { done: 3201, total: 3201 } }, 0, look)).toEqual([]);
  });

  it('has colours only where they are wanted', () => {
    const [line] = tableLines({ rows: [row('config', 'ready')] }, 0, { colour: true, width: 60 });
    expect(line).toContain('\u001b[32m');
  });
});

describe('plain lines', () => {
  it('say each change once and hold no control characters', () => {
    const { out, text } = paper();
    const screen = new PlainScreen(out);
    screen.show({ rows: [row('gateway', 'waiting', 'discovery')] });
    screen.show({ rows: [row('gateway', 'waiting', 'discovery')] });
    screen.show({ rows: [row('gateway', 'ready')], films: { done: 1, total: 2 } });
    expect(text()).toBe('mesh: gateway waiting: discovery\nmesh: gateway ready\nmesh: 1 of 2 films imported\n');
  });
});

describe('JSON lines', () => {
  it('are one object each', () => {
    const { out, text } = paper();
    const screen = new JsonScreen(out);
    screen.show({ rows: [row('gateway', 'waiting', 'discovery')] });
    screen.note('stopping');
    const lines = text().trim().split('\n').map((line) => JSON.parse(line)); // prettier-ignore
    expect(lines).toMatchObject([{ event: 'state', process: 'gateway', state: 'waiting', detail: 'discovery' }, { event: 'note', text: 'stopping' }]); // prettier-ignore
  });
});

describe('the live screen', () => {
  it('ends with the table and the block, then says every later change on a line of its own', () => {
    const { out, text } = paper();
    const screen = new LiveScreen(out, () => look);
    screen.show({ rows: [row('gateway', 'ready')] });
    screen.ready({
      seconds: 3.21,
      api: 'http://localhost:8080',
      docs: 'http://localhost:8080/docs',
      fold: 'folded',
      pid: 7,
      dataDir: '.data',
    });
    expect(text()).toContain('✔ gateway');
    screen.show({ rows: [row('gateway', 'degraded', 'the database')] });
    expect(text()).toContain('  gateway degraded: the database\n');
    screen.close();
  });
});

describe('the block', () => {
  it('says what is ready, where, and how to stop', () => {
    const text = factLines({ seconds: 3.21, api: 'http://localhost:8080', docs: 'http://localhost:8080/docs', fold: 'folded', pid: 7, dataDir: '.data', administrator: { email: 'admin@example.org', password: 'pw' }, films: { done: 10, total: 3201 } }).join('\n'); // prettier-ignore
    for (const part of ['ready after 3.2 s', 'http://localhost:8080/docs', 'admin@example.org with pw', '10 of 3,201 films imported, the rest is on its way', 'Ctrl-C']) expect(text).toContain(part); // prettier-ignore
  });
});
