import { Problem } from '#problem';
import { html } from './html.js';
import { field, form, linkButton, type Mistake, submit } from './layout.js';
import { emailMistakes, type PageParts, pauseMistakes } from './parts.js';
import { mistakesOf, registerFrom, registrationPage } from './registration.js';
import type { Visit } from './visit.js';

const LONGEST_TOKEN = 512;

/** The token of a link in an e-mail. It travels on in the form, not in its address, which others might get to see. */
const tokenOf = (visit: Visit): string => {
  const { token } = visit.ctx.query;
  return visit.field('token') || (typeof token === 'string' ? token.slice(0, LONGEST_TOKEN) : '');
};

const home = (visit: Visit) => linkButton('/', visit.words.home);
const hidden = (token: string) => html`<input type="hidden" name="token" value="${token}" />`;

function showExpired(visit: Visit): void {
  const { expired, expiredLead } = visit.words.errors;
  visit.show({ title: expired, lead: expiredLead, body: linkButton(visit.link('/forgot'), visit.words.forgot) }, { status: 410 });
}

const isExpired = (error: unknown) => error instanceof Problem && error.status === 410;

/** Register outside of any sign-in. */
export async function register(visit: Visit, parts: PageParts): Promise<void> {
  const action = visit.link('/register');
  if (visit.ctx.method !== 'POST') return visit.show(registrationPage(visit, action, []));
  const done = await registerFrom(visit, parts);
  if (done.mistakes) return visit.show(registrationPage(visit, action, done.mistakes), { status: done.status });
  visit.show({ ...done.page, body: home(visit) });
}

/** The link that confirms an e-mail. Opening it does nothing yet: programs that look at e-mails open links, too. */
export async function confirm(visit: Visit, { accounts }: PageParts): Promise<void> {
  const { words, ctx } = visit;
  const show = (mistakes: Mistake[] = [], status = 200) => {
    const body = html`${hidden(tokenOf(visit))}${submit(words.confirmYes)}`;
    const action = form(visit.link('/confirm'), visit.formToken(), body);
    visit.show({ title: words.confirm, lead: words.confirmLead, mistakes, body: action }, { status });
  };
  if (tokenOf(visit) === '') return showExpired(visit);
  if (ctx.method !== 'POST') return show();
  if (!visit.isOurs) return show([{ text: words.errors.stale }], 400);
  try {
    const email = await accounts.confirm(tokenOf(visit));
    visit.show({ title: words.confirmed, lead: words.confirmedLead(email), body: home(visit) });
  } catch (error) {
    if (!isExpired(error)) throw error;
    showExpired(visit);
  }
}

/** Ask for a link to choose another password. Nobody learns whether there is such an account. */
export async function forgot(visit: Visit, { accounts, throttle }: PageParts): Promise<void> {
  const { words, ctx } = visit;
  const email = visit.field('email').trim();
  const show = (mistakes: Mistake[] = [], status = 200) => {
    const body = html`${field({ name: 'email', label: words.email, type: 'email', autocomplete: 'username', value: email, hasFocus: true }, mistakes)}
    ${submit(words.forgotYes)}`;
    visit.show(
      { title: words.forgot, lead: words.forgotLead, mistakes, body: form(visit.link('/forgot'), visit.formToken(), body) },
      { status },
    );
  };
  if (ctx.method !== 'POST') return show();
  if (!visit.isOurs) return show([{ text: words.errors.stale }], 400);
  const wrong = emailMistakes(email, visit);
  if (wrong.length > 0) return show(wrong, 400);
  const waitSeconds = await throttle.count(visit.address);
  if (waitSeconds > 0) return show(pauseMistakes(visit, waitSeconds), 429);
  await accounts.forgot(email);
  visit.show({ title: words.forgotSent, lead: words.forgotSentLead(email), body: home(visit) });
}

/** Choose another password. */
export async function reset(visit: Visit, { accounts, throttle }: PageParts): Promise<void> {
  const { words, ctx } = visit;
  const show = (mistakes: Mistake[] = [], status = 200) => {
    const input = field(
      {
        name: 'password',
        label: words.newPassword,
        type: 'password',
        autocomplete: 'new-password',
        hint: words.passwordHint,
        hasFocus: true,
      },
      mistakes,
    );
    const body = form(visit.link('/reset'), visit.formToken(), html`${hidden(tokenOf(visit))}${input}${submit(words.resetYes)}`);
    visit.show({ title: words.reset, lead: words.resetLead, mistakes, body }, { status });
  };
  if (tokenOf(visit) === '') return showExpired(visit);
  if (ctx.method !== 'POST') return show();
  if (!visit.isOurs) return show([{ text: words.errors.stale }], 400);
  const password = visit.secret('password');
  if (password === '') return show([{ field: 'password', text: words.errors.newPassword }], 400);
  const waitSeconds = await throttle.count(visit.address);
  if (waitSeconds > 0) return show(pauseMistakes(visit, waitSeconds), 429);
  try {
    await accounts.reset(tokenOf(visit), password);
    visit.show({ title: words.resetDone, lead: words.resetDoneLead, body: home(visit) });
  } catch (error) {
    if (isExpired(error)) return showExpired(visit);
    const mistakes = error instanceof Problem ? mistakesOf(error, visit, 'password') : undefined;
    if (!mistakes) throw error;
    show(mistakes, 400);
  }
}
