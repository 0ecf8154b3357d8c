import { STATUS_CODES } from 'node:http';
import type { ErrorOut, KoaContextWithOIDC } from 'oidc-provider';
import { type Html, html, trusted } from './html.js';
import { linkButton } from './layout.js';
import { Visit } from './visit.js';

const homeOf = ({ words }: Visit) => linkButton('/', words.home);

/** What went wrong, in the reader's words first, then in the words of the standard for whoever wrote the client. */
export function showError(visit: Visit, out: ErrorOut & Record<string, unknown>, status: number): void {
  const { errors } = visit.words;
  const isOver = status === 400 && /session|expired/i.test(String(out.error_description));
  const [title, lead] = isOver ? [errors.over, errors.overLead] : [errors.broken, errors.brokenLead];
  const about = [out.error, out.error_description].filter(Boolean).join(': ');
  const detail = html`<p class="detail">${errors.details}: ${about || STATUS_CODES[status]}</p>`;
  visit.show({ title, lead, body: homeOf(visit), aside: detail }, { status });
}

/** Something does not answer: try again. */
export function showUnavailable(visit: Visit, status: number): void {
  const { errors } = visit.words;
  visit.show({ title: errors.broken, lead: errors.unavailable, body: homeOf(visit) }, { status });
}

export function showNothing(visit: Visit): void {
  const { errors } = visit.words;
  visit.show({ title: errors.nothing, lead: errors.nothingLead, body: homeOf(visit) }, { status: 404 });
}

/** Whether to sign out is for the person to say, or any page could. @param libraryForm  with a token of the session */
export function showSignOut(ctx: KoaContextWithOIDC, libraryForm: string): void {
  const visit = visitOf(ctx);
  const { words } = visit;
  const body = html`${trusted(libraryForm)}
    <button type="submit" form="op.logoutForm" value="yes" name="logout">${words.signOutYes}</button>
    <button class="second" type="submit" form="op.logoutForm">${words.signOutNo}</button>`;
  visit.show({ title: words.signOut, lead: words.signOutLead, body }, { formTargets: [backTo(ctx)] });
}

export function showSignedOut(ctx: KoaContextWithOIDC): void {
  const visit = visitOf(ctx);
  visit.show({ title: visit.words.signedOut, lead: visit.words.signedOutLead, body: homeOf(visit) });
}

/**
 * The library leaves a page with a page that sends itself by a script, where nobody needs to be asked. Instead: with nobody signed
 * in there is nothing to end, so go where the client said; and to change accounts press a button.
 */
export function withoutScript(ctx: KoaContextWithOIDC): void {
  const { oidc } = ctx;
  if (oidc?.params?.response_mode === 'form_post' && ctx.status === 400) return showFormPost(ctx);
  const secret = oidc?.session?.state?.secret as string | undefined;
  if (!secret || ctx.status !== 200 || ctx.method !== 'GET') return;
  if (oidc.route === 'end_session' && !oidc.session!.accountId) leave(ctx);
  else if (oidc.route === 'resume') showSwitching(ctx, secret);
}

/** No client may have its answer that way; the library would tell it so that very way. */
function showFormPost(ctx: KoaContextWithOIDC): void {
  const out = { error: 'invalid_request', error_description: 'response_mode form_post is not offered' };
  showError(visitOf(ctx), out, 400);
}

function leave(ctx: KoaContextWithOIDC): void {
  const { postLogoutRedirectUri, state } = ctx.oidc.session!.state as Record<string, string | undefined>;
  const to = new URL(postLogoutRedirectUri ?? ctx.oidc.urlFor('end_session_success'));
  if (postLogoutRedirectUri && state !== undefined) to.searchParams.set('state', state);
  ctx.remove('Content-Type');
  ctx.body = null;
  ctx.status = 303;
  ctx.redirect(to.href);
}

function showSwitching(ctx: KoaContextWithOIDC, secret: string): void {
  const visit = visitOf(ctx);
  const { words } = visit;
  const body: Html = html`<form method="post" action="${ctx.oidc.urlFor('end_session_confirm')}">
    <input type="hidden" name="xsrf" value="${secret}" />
    <input type="hidden" name="logout" value="yes" />
    <button type="submit">${words.go}</button>
  </form>`;
  const { redirect_uri: redirectUri } = (ctx.oidc.entities.Interaction?.params ?? {}) as { redirect_uri?: string };
  visit.show({ title: words.switching, lead: words.switchingLead, body }, { formTargets: [redirectUri ?? ''] });
}

const backTo = (ctx: KoaContextWithOIDC) => String(ctx.oidc.session?.state?.postLogoutRedirectUri ?? '');

/** A visit to a route of the library's own. */
export const visitOf = (ctx: KoaContextWithOIDC): Visit => new Visit(ctx.oidc.provider, ctx, ctx.oidc.params?.ui_locales);
