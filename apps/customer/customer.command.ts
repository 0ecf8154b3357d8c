import { Body, Controller, Delete, Inject, Param, Patch, Post } from '@nestjs/common';
import { ApiExcludeEndpoint } from '@nestjs/swagger';
import { Allow, currentCaller, Public } from '#auth';
import { Problem } from '#problem';
import { type Answer, CommandController, commandService, notFound, readPatch, serve } from '#resource';
import { CustomerConfig } from './customer-section.js';
import { CustomerHeard } from './customer.heard.js';
import { Customer, CustomerConsent, CustomerPoints } from './customer.row.js';
import { Customers } from './customers.js';

@Controller('customers')
@Allow('customer')
export class CustomerCommandController extends CommandController(Customer, 'customer') {
  @Inject(Customers) private readonly customers: Customers;

  /** Only by the customer, of whom nobody else is told. @throws Problem `not-found` (404), for another's id too */
  @Patch(':id')
  override patch(@Param('id') id: string, @Body() body: unknown): Promise<Answer<Customer>> {
    if (currentCaller().id !== id) throw notFound('customer', id);
    return this.storage.transaction(async (tx) => {
      await this.customers.alone(tx, id);
      const customer = await this.find(id);
      if (customer.erased) throw notFound('customer', id);
      return this.customers.say(tx, customer, await readPatch(Customer, customer, body));
    });
  }

  /** A customer comes to be with the user. @throws Problem `method-not-allowed` (405) */
  @Post()
  @Public()
  @ApiExcludeEndpoint()
  override create(): Promise<never> {
    throw notHere('a customer comes to be with the user: register one', 'GET, HEAD');
  }

  /** And is erased with it. @throws Problem `method-not-allowed` (405) */
  @Delete(':id')
  @Public()
  @ApiExcludeEndpoint()
  override remove(): Promise<never> {
    throw notHere('a customer is erased with the user, not removed', 'GET, HEAD, PATCH');
  }
}

const notHere = (detail: string, Allow: string) => new Problem('method-not-allowed', 405, detail, {}, { Allow });

export const CustomerCommand = commandService({
  name: 'customer-command',
  row: Customer,
  controller: CustomerCommandController,
  controllers: [CustomerHeard],
  listens: true,
  tables: [CustomerConsent, CustomerPoints],
  sections: [CustomerConfig],
  providers: [Customers],
});

await serve(import.meta, CustomerCommand);
