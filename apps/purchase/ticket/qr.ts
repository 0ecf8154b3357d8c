// Loaded by the first who wants a picture: most instances never draw one.
const load = async () => (await import('qrcode')).default;

/** What the printing and the screen lose can be made up for: 15 %. */
const errorCorrectionLevel = 'M';
/** White around it, modules. @source ISO/IEC 18004 §5.3.8 */
export const QUIET_MODULES = 4;
const PIXELS_PER_MODULE = 4;
/** Of two colours and long runs: to look for a filter takes three times as long and gains nothing. What the types lack goes to pngjs. */
const rendererOpts = { colorType: 0, filterType: 0, deflateStrategy: 0 };

/** The squares of a QR code, row by row, true where it is dark. */
export async function qrSquares(text: string): Promise<boolean[][]> {
  const { modules } = (await load()).create(text, { errorCorrectionLevel });
  const { size } = modules;
  return Array.from({ length: size }, (_, row) => Array.from({ length: size }, (_, column) => modules.get(row, column) === 1));
}

/** A QR code as an SVG document. */
export const qrSvg = async (text: string): Promise<string> =>
  (await load()).toString(text, { type: 'svg', errorCorrectionLevel, margin: QUIET_MODULES });

/** A QR code as a PNG image. */
export const qrPng = async (text: string): Promise<Buffer> =>
  (await load()).toBuffer(text, {
    type: 'png',
    errorCorrectionLevel,
    margin: QUIET_MODULES,
    scale: PIXELS_PER_MODULE,
    rendererOpts,
  });
