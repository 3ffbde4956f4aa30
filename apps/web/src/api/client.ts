import { createClient } from "@espalier/contract";

/** Calls go to the origin the page came from; the session's cookie goes with them and is out of reach of scripts. */
export const client = createClient({ url: location.origin });
