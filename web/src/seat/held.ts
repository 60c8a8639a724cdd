/**
 * A sorted list whose rows do not jump from under the pointer: while the pointer is at work over it, known rows keep their
 * places, gone ones stay and go on saying what has become of them, new ones wait at the end. A pointer that has not stirred
 * for a while is only lying there.
 */

import { computed, onBeforeUnmount, shallowRef, watch, type ComputedRef } from 'vue'

const REST_MS = 15_000

export function useHeldOrder<T>(sorted: ComputedRef<T[]>, keyOf: (item: T) => string, latest: (item: T) => T | undefined = (item) => item) {
  const isHeld = shallowRef(false)
  const shown = shallowRef<T[]>(sorted.value)
  let release: ReturnType<typeof setTimeout> | undefined

  watch([sorted, isHeld], () => {
    if (!isHeld.value) {
      shown.value = sorted.value
      return
    }
    const fresh = new Map(sorted.value.map((item) => [keyOf(item), item]))
    const kept = shown.value.map((item) => {
      const key = keyOf(item)
      const now = fresh.get(key) ?? latest(item) ?? item
      fresh.delete(key)
      return now
    })
    shown.value = [...kept, ...fresh.values()]
  })

  /** How many rows wait for their place. */
  const waiting = computed(() => {
    if (!isHeld.value) return 0
    return shown.value.reduce((n, item, i) => n + (i < sorted.value.length && keyOf(sorted.value[i]!) !== keyOf(item) ? 1 : 0), 0)
  })

  function stir(): void {
    isHeld.value = true
    clearTimeout(release)
    release = setTimeout(() => (isHeld.value = false), REST_MS)
  }

  function leave(): void {
    clearTimeout(release)
    isHeld.value = false
  }

  onBeforeUnmount(() => clearTimeout(release))
  return { shown, isHeld, waiting, stir, leave }
}
