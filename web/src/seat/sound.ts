/**
 * The bell. Browsers let nobody ring before a gesture, so the start of the shift unlocks it. Three short tones by severity,
 * made here, repeated until the alarm is claimed, never two at once; a low one when the watch is blind, for whoever looks
 * elsewhere. A muted kind says why and ends by itself.
 */

import { computed, shallowRef, watch } from 'vue'
import { alarms, hasData, isBlind, isCalling, now, version } from '@/live'
import { stored } from '@/ui/stored'
import type { Severity } from '@/client'

/** What rings: alarms by severity, and a watch without data. */
export type Bell = Severity | 'blind'

export interface Mute {
  severity: Bell
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

const TONES: Partial<Record<Bell, Tone>> = {
  1: { notes: [[988, 0, 0.16], [784, 0.2, 0.16], [988, 0.4, 0.16], [784, 0.6, 0.22]], everyMs: 4000 },
  2: { notes: [[784, 0, 0.14], [784, 0.22, 0.2]], everyMs: 10_000 },
  3: { notes: [[587, 0, 0.14]], everyMs: 30_000 },
  blind: { notes: [[294, 0, 0.3], [220, 0.36, 0.4]], everyMs: 60_000 },
} // prettier-ignore
/** A reconnect that works within this time is no news. */
const BLIND_AFTER_MS = 15_000

let context: AudioContext | null = null
let playingUntilMs = 0
const lastRung: Partial<Record<Bell, number>> = {}
let blindSince: number | null = null

/** Call from a click: unlocks the bell and begins the watch. */
export function beginShift(): void {
  isShiftBegun.value = true
  try {
    if (!context) {
      context = new AudioContext()
      context.onstatechange = () => (isSoundOn.value = context?.state === 'running')
      // What the machine's sleep or a device that went has stopped, the next touch of this page starts again.
      for (const touch of ['pointerdown', 'keydown']) window.addEventListener(touch, unlock, { capture: true, passive: true })
    }
    unlock()
  } catch {
    isSoundOn.value = false
  }
}

function unlock(): void {
  if (context && context.state !== 'running') context.resume().catch(() => {})
  isSoundOn.value = context?.state === 'running'
}

export function mute(severity: Bell, reason: string, minutes: number): void {
  mutes.value = [
    ...mutes.value.filter((m) => m.severity !== severity),
    { severity, reason, untilMs: now.value + minutes * 60_000 },
  ]
}

export function unmute(severity: Bell): void {
  mutes.value = mutes.value.filter((m) => m.severity !== severity)
}

export const activeMutes = computed(() => mutes.value.filter((m) => m.untilMs > now.value))

const muted = computed<ReadonlySet<Bell>>(() => new Set(activeMutes.value.map((m) => m.severity)))

/** The most serious severity that calls and is not muted. */
const calling = computed<Severity | null>(() => {
  void version.alarms
  let worst: Severity | null = null
  for (const alarm of alarms.items.values()) {
    if (!isCalling(alarm) || muted.value.has(alarm.severity)) continue
    if (worst === null || alarm.severity < worst) worst = alarm.severity
  }
  return worst
})

watch(now, () => {
  const at = performance.now()
  blindSince = hasData.value && isBlind.value ? (blindSince ?? at) : null
  if (calling.value !== null) ring(calling.value, at)
  if (blindSince !== null && at - blindSince > BLIND_AFTER_MS && !muted.value.has('blind')) ring('blind', at)
})

function ring(bell: Bell, at: number): void {
  const tone = TONES[bell]
  if (!tone || !isSoundOn.value || at < playingUntilMs || at - (lastRung[bell] ?? -Infinity) < tone.everyMs) return
  lastRung[bell] = at
  play(tone)
}

/** Let the user hear what a bell sounds like. */
export function sample(severity: Bell): void {
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
