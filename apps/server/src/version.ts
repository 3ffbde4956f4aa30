/** Of the whole of Espalier. */
export const version = "0.1.0";
