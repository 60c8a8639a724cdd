/** A step that a form takes with one alarm or many: what was refused stays before the eyes; when nothing was, it is done. */

import { shallowRef } from 'vue'
import type { Alarm, AlarmsStepped } from '@/client'
import { inPortions, untickAll } from '@/seat/settling'
import { reason, say } from '@/ui/notify'
import { write } from '@/ui/stored'

export interface Refused {
  alarm: Alarm | undefined
  state: string | null
  by: string | null
}

export function useStep(draftName: string, done: () => void) {
  const isBusy = shallowRef(false)
  const failure = shallowRef('')
  const refused = shallowRef<Refused[]>([])

  /** `words` says how many took it; `first` has to go well before anything is asked. */
  async function take(
    items: Alarm[],
    ask: (ids: string[]) => Promise<AlarmsStepped>,
    words: (n: number) => string,
    first?: () => Promise<void>,
  ): Promise<void> {
    if (isBusy.value) return
    isBusy.value = true
    failure.value = ''
    refused.value = []
    try {
      await first?.()
      const answer = await inPortions(items, ask)
      if (answer.items.length) say(words(answer.items.length))
      const known = new Map(items.map((alarm) => [alarm.id, alarm]))
      refused.value = answer.refused.map((one) => ({ alarm: known.get(one.id), state: one.state ?? null, by: one.by ?? null }))
      if (refused.value.length) return
      untickAll()
      done()
      setTimeout(() => write(draftName, null))
    } catch (error) {
      failure.value = reason(error)
    } finally {
      isBusy.value = false
    }
  }

  return { isBusy, failure, refused, take }
}
