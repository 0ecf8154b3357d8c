import type { Letter } from '#mail';
import type { Language } from '../user.events.js';
import type { LinkKind } from './link.js';

/** What a letter says besides its text. */
export interface LetterFacts {
  name?: string;
  link: string;
  /** How long the link works, minutes. */
  ttlMinutes: number;
}

const HOUR = 60;
const DAY = 24 * HOUR;

function duration(minutes: number, words: Readonly<Record<'day' | 'hour' | 'minute', readonly [string, string]>>): string {
  const unit = minutes % DAY === 0 ? 'day' : minutes % HOUR === 0 ? 'hour' : 'minute';
  const count = minutes / { day: DAY, hour: HOUR, minute: 1 }[unit];
  return `${count} ${words[unit][count === 1 ? 0 : 1]}`;
}

const spanish = { day: ['día', 'días'], hour: ['hora', 'horas'], minute: ['minuto', 'minutos'] } as const;
const english = { day: ['day', 'days'], hour: ['hour', 'hours'], minute: ['minute', 'minutes'] } as const;

const LETTERS: Readonly<Record<Language, Record<LinkKind, (facts: LetterFacts) => Letter>>> = {
  es: {
    confirm: ({ name, link, ttlMinutes }) => ({
      subject: 'Confirma tu dirección de correo',
      text: `${name ? `Hola, ${name}:` : 'Hola:'}

Alguien se registró en CineManzana con esta dirección. Si fuiste tú, confírmala aquí:

${link}

El enlace sirve una sola vez, durante ${duration(ttlMinutes, spanish)}. Si no fuiste tú, no hagas nada.

CineManzana
`,
    }),
    reset: ({ name, link, ttlMinutes }) => ({
      subject: 'Elige una contraseña nueva',
      text: `${name ? `Hola, ${name}:` : 'Hola:'}

Alguien pidió una contraseña nueva para tu cuenta de CineManzana. Si fuiste tú, elígela aquí:

${link}

El enlace sirve una sola vez, durante ${duration(ttlMinutes, spanish)}. Si no fuiste tú, no hagas nada: tu contraseña
sigue siendo la misma.

CineManzana
`,
    }),
  },
  en: {
    confirm: ({ name, link, ttlMinutes }) => ({
      subject: 'Confirm your e-mail address',
      text: `${name ? `Hello ${name},` : 'Hello,'}

Someone registered at CineManzana with this address. If it was you, confirm it here:

${link}

The link works once, for ${duration(ttlMinutes, english)}. If it was not you, do nothing.

CineManzana
`,
    }),
    reset: ({ name, link, ttlMinutes }) => ({
      subject: 'Choose a new password',
      text: `${name ? `Hello ${name},` : 'Hello,'}

Someone asked for a new password for your CineManzana account. If it was you, choose it here:

${link}

The link works once, for ${duration(ttlMinutes, english)}. If it was not you, do nothing: your password stays as it is.

CineManzana
`,
    }),
  },
};

/** The letter of a link, in its reader's language. */
export const letterOf = (kind: LinkKind, language: Language, facts: LetterFacts): Letter => LETTERS[language][kind](facts);
