export { clientSecretName, makeSecrets } from './secrets.js';
export { bareEnvironment, environment, projectRoot, type Environment, type RuntimeFile } from './environment.js';
export { Section, sectionName, readSections, faultText, type ConfigFault, type SectionClass } from './section.js';
export { Settings, ConfigError, type SettingsOrigin } from './settings.js';
export { fileSettings, loadSettings, revisionOf, type FileOptions, type LoadOptions } from './load.js';
export {
  ConfigFiles,
  fileSources,
  flatten,
  merge,
  unflatten,
  type ConfigEnvironment,
  type Flat,
  type PropertySource,
  type Scalar,
} from './sources.js';
