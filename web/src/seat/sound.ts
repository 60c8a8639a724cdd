/**
 * The bell. Browsers let nobody ring before a gesture, so the start of the shift unlocks it. Three short tones by severity,
 * made here, repeated until the alarm is claimed, never two at once. A muted kind says why and ends by itself.
 */

import { computed, shallowRef, watch } from 'vue'
import { alarms, isCalling, now, version } from '@/live'
import { stored } from '@/ui/stored'
import type { Severity } from '@/client'

export interface Mute {
  severity: Severity
  reason: string
  untilMs: number
}

export const mutes = stored<Mute[]>('mutes', [])
/** Browsers stop a page's sound for good reasons and bad; `running` is the only state in which the bell works. */
export const isSoundOn = shallowRef(false)
export const isShiftBegun = shallowRef(false)

interface Tone {
  notes: [frequencyHz: number, startS: number, lengthS: number][]
  everyMs: number
}

const TONES: Partial<Record<Severity, Tone>> = {
  1: { notes: [[988, 0, 0.16], [784, 0.2, 0.16], [988, 0.4, 0.16], [784, 0.6, 0.22]], everyMs: 4000 },
  2: { notes: [[784, 0, 0.14], [784, 0.22, 0.2]], everyMs: 10_000 },
  3: { notes: [[587, 0, 0.14]], everyMs: 30_000 },
} // prettier-ignore

let context: AudioContext | null = null
let playingUntilMs = 0
const lastRung: Partial<Record<Severity, number>> = {}

/** Call from a click: unlocks the bell and begins the watch. */
export function beginShift(): void {
  isShiftBegun.value = true
  try {
    context ??= new AudioContext()
    context.onstatechange = () => {
      isSoundOn.value = context?.state === 'running'
    }
    void context.resume().then(() => {
      isSoundOn.value = context?.state === 'running'
    })
  } catch {
    isSoundOn.value = false
  }
}

export function mute(severity: Severity, reason: string, minutes: number): void {
  mutes.value = [
    ...mutes.value.filter((m) => m.severity !== severity),
    { severity, reason, untilMs: now.value + minutes * 60_000 },
  ]
}

export function unmute(severity: Severity): void {
  mutes.value = mutes.value.filter((m) => m.severity !== severity)
}

export const activeMutes = computed(() => mutes.value.filter((m) => m.untilMs > now.value))

/** The most serious severity that calls and is not muted. */
const calling = computed<Severity | null>(() => {
  void version.alarms
  const muted = new Set(activeMutes.value.map((m) => m.severity))
  let worst: Severity | null = null
  for (const alarm of alarms.items.values()) {
    if (!isCalling(alarm) || muted.has(alarm.severity)) continue
    if (worst === null || alarm.severity < worst) worst = alarm.severity
  }
  return worst
})

watch(now, () => {
  const severity = calling.value
  if (severity === null || !isSoundOn.value) return
  const tone = TONES[severity]
  const at = performance.now()
  if (!tone || at < playingUntilMs || at - (lastRung[severity] ?? -Infinity) < tone.everyMs) return
  lastRung[severity] = at
  play(tone)
})

/** Let the user hear what a severity sounds like. */
export function sample(severity: Severity): void {
  const tone = TONES[severity]
  if (tone && isSoundOn.value && performance.now() >= playingUntilMs) play(tone)
}

function play(tone: Tone): void {
  if (!context) return
  let end = 0
  for (const [frequencyHz, startS, lengthS] of tone.notes) {
    const at = context.currentTime + startS
    const oscillator = new OscillatorNode(context, { frequency: frequencyHz, type: 'triangle' })
    const gain = new GainNode(context, { gain: 0 })
    gain.gain.setValueAtTime(0, at)
    gain.gain.linearRampToValueAtTime(0.25, at + 0.012)
    gain.gain.setValueAtTime(0.25, at + lengthS - 0.04)
    gain.gain.linearRampToValueAtTime(0, at + lengthS)
    oscillator.connect(gain).connect(context.destination)
    oscillator.start(at)
    oscillator.stop(at + lengthS)
    end = Math.max(end, startS + lengthS)
  }
  playingUntilMs = performance.now() + end * 1000 + 150
}
