import { createServer, type AddressInfo } from 'node:net';
import { basename } from 'node:path';
import { quietPort } from '#postgres';
import { isFree, listeningInodes, portOwner, portTaken, shorten } from './ports.js';

describe('ports', () => {
  it('tells which process listens on a taken port', async () => {
    const server = createServer();
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const { port } = server.address() as AddressInfo;
    expect(await isFree(port, '127.0.0.1')).toBe(false);
    expect(portOwner(port)?.pid).toBe(process.pid);
    expect(portOwner(port)?.command).toContain(basename(process.argv[1]!));
    await new Promise((closed) => server.close(closed));
    expect(await isFree(port, '127.0.0.1')).toBe(true);
    expect(portOwner(port)).toBeUndefined();
  });

  it('finds one that is free', async () => {
    expect(await isFree(await quietPort(), '127.0.0.1')).toBe(true);
  });

  it('reads listeners only, on the right port only', () => {
    const table = [
      '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode',
      '   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0',
      '   1: 0100007F:1F90 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 20 4 30 10 -1',
      '   2: 0100007F:22B8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100 0 0 10 0',
    ].join('\n');
    expect(listeningInodes(table, 8080)).toEqual(['4711']);
  });

  it('says who has the port and how to choose another', () => {
    expect(portTaken('the gateway', 8080, '--port', { pid: 12, command: 'nginx', folder: '/srv' })).toEqual({
      what: 'port 8080, wanted by the gateway, is taken by process 12 (nginx, in /srv)',
      mend: 'Stop it, or choose another: npm start -- --port 8081',
    });
    expect(portTaken('the gateway', 8080, '--port', {}).what).toContain('a process of another user');
  });

  it('calls a program what people call it', () => {
    expect(shorten(['/usr/bin/node', '--max-old-space-size=300', '/srv/dist/host.js', 'gateway:8080'])).toBe(
      'node host.js gateway:8080',
    );
    expect(shorten(['nginx: master process /usr/sbin/nginx'])).toBe('nginx');
  });
});
