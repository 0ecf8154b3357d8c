import { type Configuration, errors, interactionPolicy, type KoaContextWithOIDC, type ResourceServer } from 'oidc-provider';
import type { JWK } from 'jose';
import type { OAuthConfig } from '../oauth-section.js';
import type { Records } from '../store/records.js';
import { type Account, type Accounts, mayGoOn } from './accounts.js';
import type { Clients } from './clients.js';
import { type AccessTokens, ALGORITHM, AUDIENCE, RESOURCE } from './tokens.js';

/** What the configuration of oidc-provider is made over. */
export interface ConfigurationParts {
  config: OAuthConfig;
  records: Records;
  clients: Clients;
  accounts: Accounts;
  tokens: AccessTokens;
  /** Private keys, the one that signs in front. */
  keys: readonly JWK[];
  cookieKey: string;
  pages: Pick<Configuration, 'renderError'> & {
    interaction(uid: string): string;
    signOut: (ctx: KoaContextWithOIDC, form: string) => void;
    signedOut: (ctx: KoaContextWithOIDC) => void;
  };
}

const SCOPES = ['openid', 'profile', 'email', 'roles', 'offline_access'];

const claimsOf = ({ id, name, language, email, confirmed, roles }: Account) => ({
  ...{ sub: id, email, email_verified: confirmed, roles },
  ...(name ? { name } : {}),
  ...(language ? { locale: language } : {}),
});

/** Asked for whenever something is made for an account, so that a refresh sees what changed, and finds nobody when it is over. */
function findAccount({ accounts }: ConfigurationParts): Configuration['findAccount'] {
  return async (ctx, id, token) => {
    const account = await accounts.find(id);
    const begunAt = (token as { authTime?: number } | undefined)?.authTime ?? ctx.oidc?.session?.loginTs;
    if (!account || !mayGoOn(account, begunAt)) return undefined;
    return { accountId: id, claims: () => Promise.resolve(claimsOf(account)), account };
  };
}

/** Beside the library's own checks: whose account is over signs in anew, as somebody else perhaps. */
function policy(): interactionPolicy.DefaultPolicy {
  const { base, Check } = interactionPolicy;
  const prompts = base();
  const isGone = ({ oidc }: KoaContextWithOIDC) => Boolean(oidc.session?.accountId) && !oidc.account;
  prompts.get('login')!.checks.add(new Check('account_gone', 'the account can no longer be used', isGone));
  return prompts;
}

/** Our own programs need nobody's consent; for the others there is a grant once it was given. */
function loadExistingGrant({ clients }: ConfigurationParts): Configuration['loadExistingGrant'] {
  return async ({ oidc }) => {
    const { client, session, provider, result } = oidc;
    const grantId = result?.consent?.grantId ?? session!.grantIdFor(client!.clientId);
    const known = grantId ? await provider.Grant.find(grantId) : undefined;
    if (!clients.entry(client!.clientId)?.isFirstParty) return known;
    const grant = known ?? new provider.Grant({ accountId: session!.accountId!, clientId: client!.clientId });
    const wanted = [...oidc.requestParamScopes].filter((scope) => SCOPES.includes(scope)).join(' ');
    const had = grant.getOIDCScope();
    grant.addOIDCScope(wanted);
    grant.addResourceScope(RESOURCE, wanted);
    if (!known || grant.getOIDCScope() !== had) await grant.save();
    return grant;
  };
}

function features({ pages }: ConfigurationParts): Configuration['features'] {
  return {
    devInteractions: { enabled: false },
    // A token bound to a key would be taken without it by services that know bearer tokens only.
    dPoP: { enabled: false },
    pushedAuthorizationRequests: { enabled: false },
    clientCredentials: { enabled: true },
    userinfo: { enabled: true },
    introspection: { enabled: true, allowedPolicy: (_ctx, client, token) => mayIntrospect(client, token.clientId) },
    revocation: { enabled: true, allowedPolicy: (_ctx, client, token) => revocationPolicy(client, token.clientId) },
    rpInitiatedLogout: { enabled: true, logoutSource: pages.signOut, postLogoutSuccessSource: pages.signedOut },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => RESOURCE,
      useGrantedResource: () => true,
      getResourceServerInfo: (_ctx, indicator) => {
        if (indicator !== RESOURCE) throw new errors.InvalidTarget();
        return resourceServer;
      },
    },
  };
}

/** What tokens for the mesh are. */
export const resourceServer: ResourceServer = {
  scope: SCOPES.join(' '),
  audience: AUDIENCE,
  accessTokenFormat: 'jwt',
  jwt: { sign: { alg: ALGORITHM } },
};

type Asking = { clientId: string; clientAuthMethod?: string };

/** A client that proves itself may ask about any token; whoever only names one, about that one's. */
export const mayIntrospect = (client: Asking, owner?: string): boolean =>
  client.clientAuthMethod !== 'none' || owner === client.clientId;

/** Why a client cannot end a token. */
export const NOT_YOURS = 'client is not authorized to revoke the presented token';

/** A client ends its own tokens. A public one, which anybody can be, learns nothing of others'. */
export function mayRevoke(client: Asking, owner?: string): 'yes' | 'in silence not' | 'never' {
  if (owner === client.clientId) return 'yes';
  return client.clientAuthMethod === 'none' ? 'in silence not' : 'never';
}

function revocationPolicy(client: Asking, owner?: string): boolean {
  const may = mayRevoke(client, owner);
  if (may === 'never') throw new errors.InvalidRequest(NOT_YOURS);
  return may === 'yes';
}

/** What an access token says beside the standard. */
function extraTokenClaims({ accounts, clients }: ConfigurationParts): Configuration['extraTokenClaims'] {
  return async (ctx, token) => {
    if (token.kind === 'ClientCredentials') return { roles: clients.entry(token.clientId!)?.roles ?? [] };
    const { accountId, sessionUid, grantId } = token as { accountId: string; sessionUid?: string; grantId?: string };
    // On a request of the library's own it was asked for a moment ago.
    const known = (ctx?.oidc?.account as { account?: Account } | undefined)?.account;
    const { roles } = known ?? (await accounts.find(accountId)) ?? { roles: [] };
    return { roles, ...(sessionUid ? { sid: sessionUid } : {}), ...(grantId ? { gid: grantId } : {}) };
  };
}

function lifetimes({ config }: ConfigurationParts): Configuration['ttl'] {
  return {
    AccessToken: () => config.accessTokenSeconds,
    ClientCredentials: () => config.accessTokenSeconds,
    AuthorizationCode: () => config.codeSeconds,
    IdToken: () => config.idTokenSeconds,
    Interaction: () => config.interactionSeconds,
    Session: () => config.sessionSeconds,
    Grant: () => config.sessionSeconds,
    // A rotated one inherits nothing: it lives on with the session.
    RefreshToken: () => config.sessionSeconds,
  };
}

/** The configuration of oidc-provider: authorization code with PKCE, client credentials, refresh with rotation; nothing else. */
export function configuration(parts: ConfigurationParts): Configuration {
  const { records, clients, tokens, keys, cookieKey, pages } = parts;
  return {
    adapter: (model) => ({
      ...records.adapter(model),
      ...(model === 'Client' ? { find: (id: string) => Promise.resolve(clients.find(id)) } : {}),
      ...(model === 'AccessToken' || model === 'ClientCredentials' ? { find: (token: string) => tokens.find(model, token) } : {}),
    }),
    jwks: { keys: [...keys] as never[] },
    cookies: {
      keys: [cookieKey],
      long: { httpOnly: true, sameSite: 'lax', signed: true },
      short: { httpOnly: true, sameSite: 'lax', signed: true },
    },
    clientDefaults: { id_token_signed_response_alg: ALGORITHM },
    clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'none'],
    responseTypes: ['code'],
    scopes: SCOPES,
    claims: { openid: ['sub'], profile: ['name', 'locale'], email: ['email', 'email_verified'], roles: ['roles'] },
    pkce: { required: () => true },
    features: features(parts),
    findAccount: findAccount(parts),
    loadExistingGrant: loadExistingGrant(parts),
    extraTokenClaims: extraTokenClaims(parts),
    rotateRefreshToken: true,
    issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    // Signing out ends everything that came of it, on every device that holds it.
    expiresWithSession: () => true,
    interactions: { policy: policy(), url: (_ctx, { uid }) => pages.interaction(uid) },
    clientBasedCORS: (_ctx, origin, client) => (client.redirectUris ?? []).some((uri) => URL.parse(uri)?.origin === origin),
    renderError: pages.renderError,
    ttl: lifetimes(parts),
  };
}
