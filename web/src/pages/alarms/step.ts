/** A step that a form takes with one alarm or many: what was refused stays before the eyes; when nothing was, it is done. */

import { shallowRef } from 'vue'
import type { Alarm, AlarmsStepped } from '@/client'
import { inPortions, untickAll } from '@/seat/settling'
import { say } from '@/ui/notify'
import { useSaving } from '@/ui/saving'
import { write } from '@/ui/stored'

export interface Refused {
  alarm: Alarm | undefined
  state: string | null
  by: string | null
}

/** Ctrl+Enter sends every form of a step. */
export function submitsOn(submit: () => void): (event: KeyboardEvent) => boolean {
  return (event) => {
    if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return false
    event.preventDefault()
    submit()
    return true
  }
}

export function useStep(draftName: string, done: () => void) {
  const { isBusy, failure, save } = useSaving()
  const refused = shallowRef<Refused[]>([])

  /** `words` says how many took it; `first` has to go well before anything is asked. */
  const take = (items: Alarm[], ask: (ids: string[]) => Promise<AlarmsStepped>, words: (n: number) => string, first?: () => Promise<void>): Promise<void> =>
    save(async () => {
      refused.value = []
      await first?.()
      const answer = await inPortions(items, ask)
      if (answer.items.length) say(words(answer.items.length))
      const known = new Map(items.map((alarm) => [alarm.id, alarm]))
      refused.value = answer.refused.map((one) => ({ alarm: known.get(one.id), state: one.state ?? null, by: one.by ?? null }))
      if (refused.value.length) return
      untickAll()
      done()
      setTimeout(() => write(draftName, null))
    })

  return { isBusy, failure, refused, take }
}
