import { inflateSync } from 'node:zlib';

/** Rectangles stand for squares side by side: all but the head's are as high as one. */
function darkOf(stream: string): number {
  const all = [...stream.matchAll(/^\S+ \S+ (\S+) (\S+) re$/gm)].map(
    ([, width, height]) => [Number(width), Number(height)] as const,
  );
  const side = Math.min(...all.map(([, height]) => height));
  return all.filter(([, height]) => height < 2 * side).reduce((sum, [width]) => sum + Math.round(width / side), 0);
}

/** What a PDF of ours writes, and how many squares of a QR code it fills, page by page. */
export function readPdf(pdf: Buffer): { text: string; dark: number }[] {
  const source = pdf.toString('latin1');
  const streams = [...source.matchAll(/\/FlateDecode[^>]*>>\s*stream\n/g)].map(({ index, 0: head }) => {
    const from = index + head.length;
    return inflateSync(pdf.subarray(from, source.indexOf('endstream', from))).toString('latin1');
  });
  const letters = (hex: string) => Buffer.from(hex, 'hex').toString('latin1');
  return streams
    .filter((stream) => stream.includes('BT'))
    .map((stream) => ({
      text: [...stream.matchAll(/\[(.*?)\] TJ/g)]
        .map(([, parts]) => [...parts!.matchAll(/<([\da-f]*)>/g)].map(([, hex]) => letters(hex!)).join(''))
        .join('\n'),
      dark: darkOf(stream),
    }));
}
