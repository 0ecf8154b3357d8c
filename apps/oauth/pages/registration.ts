import { Problem } from '#problem';
import type { Checked } from '../provider/accounts.js';
import { html } from './html.js';
import { field, form, type Mistake, type Page, submit } from './layout.js';
import { emailMistakes, type PageParts, pauseMistakes } from './parts.js';
import type { Visit } from './visit.js';

/** How a registration ended: with mistakes, or with an account that may be signed in to, or not yet. */
export type Registered = { mistakes: Mistake[]; status: number } | { mistakes?: undefined; checked: Checked; page: Page };

/** The form, with what was typed and what is wrong with it. */
export function registrationPage(visit: Visit, action: string, mistakes: Mistake[]): Page {
  const { words } = visit;
  const optional = html`<span>${words.optional}</span>`;
  const [email, name] = [visit.field('email'), visit.field('name')];
  const body = html`${field({ name: 'email', label: words.email, type: 'email', autocomplete: 'username', value: email, hasFocus: true }, mistakes)}
  ${field({ name: 'name', label: words.name, type: 'text', autocomplete: 'name', value: name, isOptional: true, beside: optional }, mistakes)}
  ${field({ name: 'password', label: words.password, type: 'password', autocomplete: 'new-password', hint: words.passwordHint }, mistakes)}
  ${submit(words.register)}`;
  return { title: words.register, lead: words.registerLead, mistakes, body: form(action, visit.formToken(), body) };
}

/** What `user-command` refused, said beside the field it is about. */
export function mistakesOf(problem: Problem, visit: Visit, passwordField: string): Mistake[] | undefined {
  const { errors } = visit.words;
  if (problem.type === 'user-exists') return [{ field: 'email', text: errors.exists }];
  if (problem.status !== 400) return undefined;
  const pointers = ((problem.extra.errors ?? []) as { pointer?: string }[]).map(({ pointer }) => pointer);
  const texts: Readonly<Record<string, Mistake>> = {
    '/email': { field: 'email', text: errors.email },
    '/name': { field: 'name', text: errors.name },
    '/password': { field: passwordField, text: errors.newPassword },
  };
  const found = pointers.flatMap((pointer) => texts[pointer ?? ''] ?? []);
  return found.length > 0 ? found : undefined;
}

/** Make the account that the form asks for, and see what can be done with it. @throws Problem when that cannot be known */
export async function registerFrom(visit: Visit, { accounts, throttle }: PageParts): Promise<Registered> {
  const { words, language } = visit;
  const [email, name, password] = [visit.field('email').trim(), visit.field('name').trim(), visit.secret('password')];
  if (!visit.isOurs) return { mistakes: [{ text: words.errors.stale }], status: 400 };
  const missing = emailMistakes(email, visit);
  if (password === '') missing.push({ field: 'password', text: words.errors.newPassword });
  if (missing.length > 0) return { mistakes: missing, status: 400 };
  const waitSeconds = await throttle.count(visit.address);
  if (waitSeconds > 0) return { mistakes: pauseMistakes(visit, waitSeconds), status: 429 };
  try {
    await accounts.register({ email, password, language, ...(name ? { name } : {}) });
  } catch (error) {
    const mistakes = error instanceof Problem ? mistakesOf(error, visit, 'password') : undefined;
    if (!mistakes) throw error;
    return { mistakes, status: (error as Problem).status };
  }
  const checked = await accounts.check(email, password);
  return { checked, page: outcomePage(checked, email, visit) };
}

function outcomePage(checked: Checked, email: string, { words }: Visit): Page {
  if (checked.outcome !== 'unconfirmed') return { title: words.registered, lead: words.registeredLead };
  if (checked.by === 'email') return { title: words.checkMail, lead: words.checkMailLead(email) };
  return { title: words.waitAdministrator, lead: words.waitAdministratorLead };
}
