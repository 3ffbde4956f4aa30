/** Over there it holds the id of our run: one that came with an import is replaced by it. */
export const tieTag = "espalier.run_id";
