import { Button, fieldClass } from "../../ui/button.tsx";
import { ScrollRegion } from "../../ui/scroll-region.tsx";
import { type Answers, blankPerson, replaced, toggled, withLevel } from "./draft.ts";
import { Check, Section } from "./fields.tsx";

const levels = ["none", "has used it", "runs it", "has repaired it under pressure"];

/** Skills down, people across: evidence by name, no feeling. */
export function PeopleMatrix({
  answers,
  skills,
  change,
}: {
  answers: Answers;
  skills: readonly string[];
  change: (part: Partial<Answers>) => void;
}) {
  const { people, operated } = answers;
  return (
    <Section
      title="People"
      hint="Who has which skill, and who could repair it alone at night? Fewer than two of them is a gap: one is on holiday."
    >
      <ScrollRegion label="Skills of people">
        <table className="text-left text-sm">
          <thead>
            <tr className="border-b border-line align-bottom">
              <th scope="col" className="py-2 pr-4 font-medium">
                Skill
              </th>
              <th scope="col" className="py-2 pr-4 font-medium">
                The team has operated it for half a year
              </th>
              {people.map(({ name }, index) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: names change while they are typed
                <th key={index} scope="col" className="py-2 pr-4 font-medium">
                  <div className="flex items-center gap-2">
                    <input
                      aria-label={`Name of person ${index + 1}`}
                      required
                      className={`${fieldClass} w-32`}
                      value={name}
                      onChange={({ target }) =>
                        change({ people: replaced(people, index, { ...people[index], name: target.value } as never) })
                      }
                    />
                    {people.length > 1 && (
                      <Button
                        aria-label={`Take ${name} off`}
                        onClick={() => change({ people: replaced(people, index, undefined) })}
                      >
                        ×
                      </Button>
                    )}
                  </div>
                </th>
              ))}
              <th scope="col" className="py-2">
                <Button onClick={() => change({ people: [...people, blankPerson(`person ${people.length + 1}`)] })}>
                  Add a person
                </Button>
              </th>
            </tr>
          </thead>
          <tbody>
            {skills.map((skill) => (
              <tr key={skill} className="border-b border-line last:border-0">
                <th scope="row" className="py-1 pr-4 font-normal">
                  {skill}
                </th>
                <td className="py-1 pr-4">
                  <Check
                    isLabelHidden
                    label={`${skill} operated for half a year`}
                    checked={operated.includes(skill)}
                    onChange={() => change({ operated: toggled(operated, skill) })}
                  />
                </td>
                {people.map((person, index) => (
                  // biome-ignore lint/suspicious/noArrayIndexKey: names change while they are typed
                  <td key={index} className="py-1 pr-4 whitespace-nowrap">
                    <select
                      aria-label={`${skill}: ${person.name}`}
                      className={`${fieldClass} mr-3`}
                      value={person.skills[skill] ?? 0}
                      onChange={({ target }) =>
                        change({ people: replaced(people, index, withLevel(person, skill, Number(target.value))) })
                      }
                    >
                      {levels.map((level, value) => (
                        <option key={level} value={value}>
                          {level}
                        </option>
                      ))}
                    </select>
                    {person.skills[skill] !== undefined && (
                      <Check
                        label="at night"
                        checked={person.repairs.includes(skill)}
                        onChange={() =>
                          change({
                            people: replaced(people, index, { ...person, repairs: toggled(person.repairs, skill) }),
                          })
                        }
                      />
                    )}
                  </td>
                ))}
                <td />
              </tr>
            ))}
          </tbody>
        </table>
      </ScrollRegion>
    </Section>
  );
}
