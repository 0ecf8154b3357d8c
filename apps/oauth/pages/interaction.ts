import type { Interaction, Provider } from 'oidc-provider';
import type { Checked } from '../provider/accounts.js';
import { type Html, html } from './html.js';
import { field, form, type Mistake, submit } from './layout.js';
import { emailMistakes, type PageParts, pauseMistakes } from './parts.js';
import { registrationPage, type Registered, registerFrom } from './registration.js';
import type { Visit } from './visit.js';

/** One step of a sign-in under way: the browser's cookie names it, and the address must name the same. */
interface Step {
  visit: Visit;
  details: Interaction;
  path: string;
}

const MAX_PASSWORD = 1000;

const clientName = async ({ visit: { provider }, details }: Step): Promise<string> => {
  const client = await provider.Client.find(String(details.params.client_id));
  return client?.clientName ?? String(details.params.client_id);
};

/** Addresses that the last redirect of a sign-in leads to. */
const targets = ({ details }: Step) => [String(details.params.redirect_uri ?? '')];

/** Sign in, register or consent in the middle of an authorization request. @throws SessionNotFound when it is over */
export async function interaction(visit: Visit, parts: PageParts, uid: string, verb: string): Promise<boolean> {
  const { ctx, provider } = visit;
  const details = await provider.interactionDetails(ctx.req, ctx.res);
  if (details.uid !== uid) return false;
  const isPost = ctx.method === 'POST';
  if (isPost) await visit.read(parts.formBytes());
  const at: Step = { visit: visit.speaking(details.params.ui_locales), details, path: `/interaction/${uid}` };
  if (verb === 'cancel' && isPost && at.visit.isOurs)
    return finish(at, { error: 'access_denied', error_description: 'the user said no' });
  if (details.prompt.name === 'consent' && verb === '') return isPost ? consent(at, parts) : showConsent(at, parts);
  if (details.prompt.name !== 'login') return false;
  if (verb === 'register') return isPost ? register(at, parts) : showRegistration(at);
  return isPost ? signIn(at, parts) : showSignIn(at);
}

async function finish(step: Step, result: Parameters<Provider['interactionResult']>[2]): Promise<true> {
  const { ctx, provider } = step.visit;
  const mergeWithLastSubmission = 'consent' in result;
  step.visit.redirect(await provider.interactionResult(ctx.req, ctx.res, result, { mergeWithLastSubmission }));
  return true;
}

const cancelForm = ({ visit, path }: Step, text: string): Html =>
  form(visit.link(`${path}/cancel`), visit.formToken(), html`<button class="second" type="submit">${text}</button>`);

async function showSignIn(step: Step, mistakes: Mistake[] = [], status = 200): Promise<true> {
  const { visit, details, path } = step;
  const { words } = visit;
  const hint = details.params.login_hint;
  const email = visit.field('email') || (typeof hint === 'string' ? hint : '');
  const isKept = visit.field('remember') === 'yes';
  const forgot = html`<a href="${visit.link('/forgot')}">${words.forgotLink}</a>`;
  const body = html`${field({ name: 'email', label: words.email, type: 'email', autocomplete: 'username', value: email, hasFocus: !email }, mistakes)}
    ${field({ name: 'password', label: words.password, type: 'password', autocomplete: 'current-password', beside: forgot, hasFocus: Boolean(email) }, mistakes)}
    <div class="field check">
      <input
        id="remember"
        name="remember"
        type="checkbox"
        value="yes"
        aria-describedby="remember-hint"
        ${isKept && html`checked`}
      />
      <label for="remember">${words.remember}</label>
      <p class="hint" id="remember-hint">${words.rememberHint}</p>
    </div>
    ${submit(words.signIn)}`;
  visit.show(
    {
      title: words.signIn,
      lead: words.signInTo(await clientName(step)),
      mistakes,
      body: html`${form(visit.link(path), visit.formToken(), body)}${cancelForm(step, words.cancel)}`,
      aside: html`${words.noAccount} <a class="inline" href="${visit.link(`${path}/register`)}">${words.registerLink}</a>`,
    },
    { status, formTargets: targets(step) },
  );
  return true;
}

async function signIn(step: Step, parts: PageParts): Promise<true> {
  const { visit } = step;
  const { errors } = visit.words;
  const [email, password] = [visit.field('email').trim(), visit.secret('password')];
  if (!visit.isOurs) return showSignIn(step, [{ text: errors.stale }], 400);
  const missing = [
    ...emailMistakes(email, visit),
    ...(password === '' || password.length > MAX_PASSWORD ? [{ field: 'password', text: errors.password }] : []),
  ];
  if (missing.length > 0) return showSignIn(step, missing, 400);
  const waitSeconds = await parts.throttle.begin({ email, address: visit.address });
  if (waitSeconds > 0) {
    parts.counted('paused');
    return showSignIn(step, pauseMistakes(visit, waitSeconds), 429);
  }
  return concludeWith(step, parts, email, await parts.accounts.check(email, password));
}

/** What a password that was checked leads to. */
async function concludeWith(step: Step, parts: PageParts, email: string, checked: Checked): Promise<true> {
  const { visit } = step;
  const { errors } = visit.words;
  parts.counted(checked.outcome);
  // Whoever knows the password is not guessing, whether the account may be used or not.
  if (checked.outcome !== 'wrong') await parts.throttle.succeed({ email, address: visit.address });
  switch (checked.outcome) {
    case 'ok':
      return signedIn(step, checked);
    case 'wrong':
      return showSignIn(step, [{ field: 'email', text: errors.wrong }], 401);
    case 'disabled':
      return showSignIn(step, [{ text: errors.disabled }], 403);
    case 'unconfirmed': {
      const text = checked.by === 'email' ? errors.unconfirmedByEmail : errors.unconfirmedByAdministrator;
      return showSignIn(step, [{ text }], 403);
    }
  }
}

function signedIn(step: Step, { account, begunAt: ts }: Extract<Checked, { outcome: 'ok' }>): Promise<true> {
  return finish(step, { login: { accountId: account.id, ts, amr: ['pwd'], remember: step.visit.field('remember') === 'yes' } });
}

function showRegistration(step: Step, mistakes: Mistake[] = [], status = 200): true {
  const { visit, path } = step;
  const page = registrationPage(visit, visit.link(`${path}/register`), mistakes);
  const { words } = visit;
  const aside = html`${words.haveAccount} <a class="inline" href="${visit.link(path)}">${words.signIn}</a>`;
  visit.show({ ...page, aside }, { status, formTargets: targets(step) });
  return true;
}

async function register(step: Step, parts: PageParts): Promise<true> {
  const { visit, path } = step;
  const done: Registered = await registerFrom(visit, parts);
  if (done.mistakes) return showRegistration(step, done.mistakes, done.status);
  if (done.checked.outcome === 'ok') return signedIn(step, done.checked);
  visit.show({ ...done.page, aside: html`<a href="${visit.link(path)}">${visit.words.backToSignIn}</a>` });
  return true;
}

async function showConsent(step: Step, { accounts }: PageParts, mistakes: Mistake[] = [], status = 200): Promise<true> {
  const { visit, details, path } = step;
  const { words } = visit;
  const wanted = new Set([...missing(details).oidc, ...Object.values(missing(details).resources).flat()]);
  const all = wanted.size > 0 ? [...wanted] : String(details.params.scope ?? 'openid').split(' ');
  const account = await accounts.find(details.session!.accountId);
  const body = html`<p>${words.consentLead}</p>
    <ul class="scopes">
      ${all.map((scope) => html`<li>${Object.hasOwn(words.scopes, scope) ? words.scopes[scope] : scope}</li>`)}
    </ul>
    ${form(visit.link(path), visit.formToken(), submit(words.allow))} ${cancelForm(step, words.deny)}`;
  const title = words.consent(await clientName(step));
  visit.show({ title, lead: account && words.signedInAs(account.email), mistakes, body }, { status, formTargets: targets(step) });
  return true;
}

interface Missing {
  oidc: string[];
  claims: string[];
  resources: Record<string, string[]>;
}

function missing({ prompt: { details } }: Interaction): Missing {
  const {
    missingOIDCScope: oidc,
    missingOIDCClaims: claims,
    missingResourceScopes: resources,
  } = details as Record<string, never>;
  return { oidc: oidc ?? [], claims: claims ?? [], resources: resources ?? {} };
}

async function consent(step: Step, parts: PageParts): Promise<true> {
  const { visit, details } = step;
  const { provider } = visit;
  if (!visit.isOurs) return showConsent(step, parts, [{ text: visit.words.errors.stale }], 400);
  const { accountId } = details.session!;
  const known = details.grantId ? await provider.Grant.find(details.grantId) : undefined;
  const grant = known ?? new provider.Grant({ accountId, clientId: String(details.params.client_id) });
  const { oidc, claims, resources } = missing(details);
  if (oidc.length > 0) grant.addOIDCScope(oidc.join(' '));
  if (claims.length > 0) grant.addOIDCClaims(claims);
  for (const [resource, scopes] of Object.entries(resources)) grant.addResourceScope(resource, scopes.join(' '));
  return finish(step, { consent: { grantId: await grant.save() } });
}
