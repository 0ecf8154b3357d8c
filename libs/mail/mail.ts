export { MailConfig } from './mail-section.js';
export { mailParts, MailWriter } from './post.js';
export { type DueMail, Mail, MailQueue, writeMail } from './queue.js';
export { type Attachment, type Envelope, type Letter } from './transport.js';
