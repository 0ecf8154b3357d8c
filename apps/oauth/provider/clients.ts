import type { AdapterPayload, ClientMetadata } from 'oidc-provider';
import { clientSecretName, environment } from '#config';
import type { ClientEntry, OAuthConfig } from '../oauth-section.js';

/** A name that a service may have; nothing else becomes the name of a secret. */
const SERVICE = /^[a-z][a-z0-9-]{1,62}$/;

/** The clients of the configuration as it is now, and the services by their secrets. */
export class Clients {
  constructor(
    private readonly config: OAuthConfig,
    private readonly publicUrl: string,
  ) {}

  /** What the configuration says of a client; undefined of a service. */
  entry(id: string): ClientEntry | undefined {
    return this.config.clients.find((entry) => entry.id === id);
  }

  /** A client as oidc-provider wants it; undefined when there is none. Secrets are read anew, so that they can be changed. */
  find(id: string): AdapterPayload | undefined {
    if (!SERVICE.test(id)) return undefined;
    const entry = this.entry(id);
    const secret = entry?.isPublic ? undefined : environment().secret(clientSecretName(id));
    if (secret === undefined && !entry?.isPublic) return undefined;
    return {
      client_id: id,
      client_secret: secret,
      token_endpoint_auth_method: secret === undefined ? 'none' : 'client_secret_basic',
      ...(entry ? this.metadata(entry) : SPEAKS_FOR_ITSELF),
    };
  }

  private metadata(entry: ClientEntry): Partial<ClientMetadata> {
    const whole = (uri: string) => (uri.startsWith('/') ? `${this.publicUrl}${uri}` : uri);
    const { redirectUris, postLogoutRedirectUris, isNative, isPublic, speaksForItself, name } = entry;
    const itself = speaksForItself && !isPublic ? ['client_credentials' as const] : [];
    if (redirectUris.length === 0) return { ...SPEAKS_FOR_ITSELF, client_name: name };
    return {
      client_name: name,
      application_type: isNative ? 'native' : 'web',
      redirect_uris: redirectUris.map(whole),
      post_logout_redirect_uris: postLogoutRedirectUris.map(whole),
      grant_types: ['authorization_code', 'refresh_token', ...itself],
      response_types: ['code'],
      // The others need a script in the page.
      response_modes: ['query'],
    };
  }
}

const SPEAKS_FOR_ITSELF: Partial<ClientMetadata> = { grant_types: ['client_credentials'], response_types: [], redirect_uris: [] };
