import { OWN_AUTH_TAG, serve, service } from '#service';
import { InternalController, UserListener } from './internal.js';
import { Keys, SigningKey } from './keys/keys.js';
import { OAuthConfig } from './oauth-section.js';
import { Accounts } from './provider/accounts.js';
import { Authority } from './provider/authority.js';
import { METADATA } from './provider/mount.js';
import { OidcRecord, Records } from './store/records.js';
import { Revocation, Revocations } from './store/revocations.js';
import { Throttle, Throttled } from './store/throttle.js';
import { Upkeep } from './upkeep.js';

/** The authorization server (OAuth 2.1, OpenID Connect) with its pages to sign in, register and sign out. */
export const OAuth = service({
  name: 'oauth',
  routes: ['/oauth', `${METADATA}/oauth`],
  tags: [OWN_AUTH_TAG], // its tokens are of other kinds too, and it is who says what is good
  sections: [OAuthConfig],
  tables: [OidcRecord, Revocation, SigningKey, Throttled],
  listens: true,
  calls: ['user-command'],
  controllers: [InternalController, UserListener],
  providers: [Revocations, Records, Keys, Accounts, Throttle, Authority, Upkeep],
  listener: (app) => app.get(Authority).listener,
  stopping: (app) => app.get(Revocations).end(),
});

await serve(import.meta, OAuth);
