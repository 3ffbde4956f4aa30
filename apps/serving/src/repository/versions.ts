/** Orders versions: whole numbers by value and above everything else, other names as text. */
export function compareVersions(left: string, right: string): number {
  const [isLeftNumber, isRightNumber] = [/^\d+$/.test(left), /^\d+$/.test(right)];
  if (isLeftNumber !== isRightNumber) return isLeftNumber ? 1 : -1;
  if (isLeftNumber && Number(left) !== Number(right)) return Number(left) - Number(right);
  return left < right ? -1 : left > right ? 1 : 0;
}
