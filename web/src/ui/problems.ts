/**
 * Why the server said no, in the operator's language. Problem documents have a stable kind; what they say of single fields
 * is the server's English, known here by its pattern. The server's own words stay below as small print.
 */

import type { ApiProblem } from '@/client'
import type { FieldError } from '@/client/http'
import { isChinese, t, word, type Key } from '@/l10n'

const SAID: readonly [RegExp, Key][] = [
  [/must not be empty/, 'said.empty'],
  [/^Field required$/, 'said.required'],
  [/^there is no /, 'said.gone'],
  [/^is wrong$/, 'said.wrong'],
  [/is not the number of vehicles/, 'said.notTheNumber'],
  [/is not the plate of the vehicle/, 'said.notThePlate'],
  [/the terminal claimed none/, 'said.plateNeeded'],
  [/nobody who can handle alarms/, 'said.noHandler'],
  [/is part of this one/, 'said.circle'],
  [/a polygon needs 3/, 'said.corners'],
  [/the polygon crosses itself/, 'said.crosses'],
  [/all corners lie on one line/, 'said.flat'],
  [/is not printable/, 'said.printable'],
  [/must be one line/, 'said.oneLine'],
  [/must not contain spaces/, 'said.spaces'],
  [/no place in GBK/, 'said.gbk'],
  [/is (\d+) bytes in GBK/, 'said.tooLong'],
  [/is no plate colour/, 'said.plateColor'],
  [/must be 1 to 20 digits/, 'said.digits'],
  [/must not be all zeros/, 'said.zeros'],
  [/^from must be before to$/, 'said.order'],
  [/end must be after begin/, 'said.order'],
  [/more than (\d+) days apart/, 'said.tooFar'],
  [/belong together/, 'said.together'],
  [/at least one is needed/, 'said.atLeastOne'],
  [/have the same id/, 'said.sameId'],
  [/each needs a text/, 'said.eachText'],
  [/those to delete have no text/, 'said.noText'],
  [/must be hex digits/, 'said.hex'],
  [/must be digits, and/, 'said.phoneDigits'],
  [/is not on Earth/, 'said.coordinates'],
  [/is an answer that the server itself gives/, 'said.ownAnswer'],
  [/has no 0x/, 'said.noMessage'],
  [/greater than or equal to (\S+)/, 'said.least'],
  [/less than or equal to (\S+)/, 'said.most'],
  [/should be greater than (\S+)/, 'said.above'],
  [/should be less than (\S+)/, 'said.below'],
  [/at least (\d+) (?:character|item)/, 'said.shortest'],
  [/at most (\d+) (?:character|item)/, 'said.longest'],
  [/should be a valid (?:integer|number)/, 'said.number'],
  [/should be (?:a valid )?(?:string|text)/, 'said.text'],
  [/should be (?:a valid )?(?:date|datetime|time)/, 'said.time'],
  [/should match pattern/, 'said.pattern'],
  [/Input should be '/, 'said.choice'],
  [/Extra inputs are not permitted/, 'said.extra'],
  [/the terminal is blocked/, 'said.blocked'],
  [/the terminal is in vehicle/, 'said.elsewhere'],
  [/stands in line (\d+) already/, 'said.twin'],
  [/more than (\d+) vehicles/, 'said.tooMany'],
  [/the file is empty/, 'said.emptyFile'],
  [/a heading but no vehicle/, 'said.noRows'],
  [/a column without a heading/, 'said.noHeading'],
  [/is no column of a vehicle list/, 'said.noColumn'],
  [/the column stands twice/, 'said.twice'],
  [/^the column .* is missing/, 'said.columnMissing'],
  [/(\d+) cells under/, 'said.cells'],
  [/is UTF-16/, 'said.utf16'],
  [/is a spreadsheet/, 'said.xlsx'],
  [/neither UTF-8 nor GB18030/, 'said.encoding'],
  [/holds a zero byte/, 'said.binary'],
  [/is not CSV/, 'said.csv'],
  [/is not read as an answer/, 'said.noAnswer'],
  [/; (\d+) are the most$/, 'said.mostAtOnce'],
  [/^needs the keys /, 'said.keys'],
]

/** One field's fault: in words where they are known, else as the server said it. */
export function faultWords({ message }: Pick<FieldError, 'message'>): string {
  if (!isChinese.value) return message
  for (const [pattern, key] of SAID) {
    const found = pattern.exec(message)
    if (found) return t(key, { n: found[1] ?? '' })
  }
  return message
}

/** `parameters.2.value` is called by its last name that is known. */
export function fieldName(field: string): string {
  const names = field.split('.').filter((part) => !/^\d+$/.test(part))
  for (const name of names.reverse()) {
    const known = word('field', name)
    if (known !== name) return known
  }
  return field
}

/** What happened, and the server's own words for whoever has to look deeper; both lines in one text. */
export function problemWords(problem: ApiProblem): string {
  const { detail, errors, status } = problem
  if (!isChinese.value) return detail || statusWords(status)
  const faults = errors.map((one) => [fieldName(one.field), faultWords(one)].filter(Boolean).join('：')).join('；')
  const words = errors.length && problem.kind === 'validation' ? faults : kindWords(problem) || statusWords(status)
  return detail && status !== 0 && !words.includes(detail) ? `${words}\n${detail}` : words
}

function kindWords({ kind, facts }: ApiProblem): string {
  const values = Object.fromEntries(Object.entries(facts).map(([name, value]) => [name, String(value ?? '')]))
  if (typeof facts.state === 'string') values.state = word('alarmState', facts.state)
  const words = kind ? word('problem', kind, values) : ''
  return words === kind ? '' : words
}

function statusWords(status: number): string {
  const own = word('status', String(status))
  if (own !== String(status)) return own
  return t(status >= 500 ? 'status.5xx' : 'status.4xx')
}
