export type Language = 'es' | 'en';

const es = {
  title: 'Pago de prueba',
  notice: 'Proveedor de pagos de prueba: aquí no se cobra nada.',
  shop: 'Comercio',
  what: 'Compra',
  amount: 'Total',
  approve: 'Aprobar el pago',
  decline: 'Rechazar el pago',
  later: 'Decidir más tarde',
  approved: 'Pago aprobado',
  declined: 'Pago rechazado',
  pending: 'Pago pendiente',
  decided: 'Esta decisión ya no cambia.',
  undecided: 'Puedes volver a esta página para decidir.',
  back: 'Volver al comercio',
  missing: 'No hay ningún pago aquí',
  missingLead: 'Revisa la dirección: a este enlace no le corresponde ningún pago.',
};

const en: typeof es = {
  title: 'Test payment',
  notice: 'Payment provider for tests: nothing is charged here.',
  shop: 'Shop',
  what: 'Purchase',
  amount: 'Total',
  approve: 'Approve the payment',
  decline: 'Decline the payment',
  later: 'Decide later',
  approved: 'Payment approved',
  declined: 'Payment declined',
  pending: 'Payment pending',
  decided: 'This decision stays as it is.',
  undecided: 'You can come back to this page to decide.',
  back: 'Back to the shop',
  missing: 'There is no payment here',
  missingLead: 'Look at the address again: no payment belongs to this link.',
};

export type Words = typeof es;
export const wordsOf = (language: Language): Words => ({ es, en })[language];

/** The language of ours that a reader likes best. @source RFC 9110 §12.5.4 */
export function languageOf(accepted = ''): Language {
  const liked = accepted.split(',').flatMap((part) => {
    const [, language, q = '1'] = /^\s*(es|en)\b[\w-]*(?:\s*;\s*q=([\d.]+))?\s*$/i.exec(part) ?? [];
    return language === undefined ? [] : [{ language: language.toLowerCase() as Language, q: Number(q) }];
  });
  const best = liked.sort((a, b) => b.q - a.q)[0];
  return best && best.q > 0 ? best.language : 'es';
}
