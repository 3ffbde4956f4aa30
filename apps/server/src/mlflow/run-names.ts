import { randomInt } from "node:crypto";

const adjectives =
  "able amber basalt bold brisk bright calm candid clear coral crisp dapper deep early eager fair fern fleet fresh gentle golden green hardy hazel honest humble ivory jolly keen kind lively lucid lunar mellow merry mild nimble noble olive patient plain proud quick quiet rapid rosy rustic sage serene sharp silver sleek smooth spry steady still sunny swift tidy topaz upbeat vivid warm wise witty young".split(
    " ",
  );
const trees =
  "acacia alder almond apple apricot ash aspen bay beech birch box cedar cherry chestnut citron cypress damson elder elm fig fir gingko hazel hawthorn holly hornbeam juniper larch laurel lemon lime linden loquat maple medlar mulberry myrtle oak olive orange peach pear pine plane plum poplar quince rowan rue sloe sorb spruce sumac tamarisk teak thorn walnut willow yew".split(
    " ",
  );

/** For a run that was given no name: `swift-quince-512`. */
export function randomRunName(): string {
  return `${adjectives[randomInt(adjectives.length)]}-${trees[randomInt(trees.length)]}-${randomInt(1000)}`;
}
