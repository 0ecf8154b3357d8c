import { serve, service } from '#service';
import { Acquirer } from './acquirer.js';
import { ApiKey, ProviderController } from './api.js';
import { Notices } from './notices.js';
import { PayController } from './pay.js';
import { ProviderConfig } from './provider-section.js';
import { ProviderNotice, ProviderPayment, ProviderRefund } from './provider.row.js';

/** A payment provider to try the shop out with: as a real one does, it has a page for buyers, signed webhooks and a settlement. */
export const Provider = service({
  name: 'provider',
  routes: ['/sandbox'],
  sections: [ProviderConfig],
  tables: [ProviderPayment, ProviderRefund, ProviderNotice],
  secrets: ['PROVIDER_KEY'],
  calls: ['purchase-command'],
  controllers: [ProviderController, PayController],
  providers: [Acquirer, Notices, ApiKey],
});

await serve(import.meta, Provider);
