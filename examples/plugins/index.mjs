import { addresses } from './addresses.mjs';
import { openrc } from './openrc.mjs';
import { table } from './table.mjs';
import { webServer } from './web-server.mjs';

// A module may export one plugin or, as here, several.
export default [table, addresses, webServer, openrc];
