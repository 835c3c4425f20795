// The page's script: sends user actions, displays the server's answers and requests the next frame.
const one = (selector) => document.querySelector(selector)
const all = (selector) => [...document.querySelectorAll(selector)]

let count = 0
let asked = 0 // the time of the oldest unanswered message
const send = (action, values = {}) => {
  asked ||= performance.now()
  sent.data = {message: [JSON.stringify({do: action, ...values})], count: [++count]}
}

// The server's answers.

const number = (value) => (value === null ? "–" : Math.abs(value) >= 1e4 || (value !== 0 && Math.abs(value) < 1e-3) ? value.toExponential(2) : value.toPrecision(4))
const percent = (share) => (share === null ? "–" : share === 1 ? "100 %" : `${Math.min(100 * share, 99.9).toFixed(1)} %`)
let running = false
let current = {}
let weight = null // the selected weight
const said_of_starts = one("#starts-said").textContent
let storage = {} // values stored for this browser tab
try {
  storage = sessionStorage
} catch {} // some browsers block sessionStorage

const showRun = () => {
  const [sign, word] = one("#run").children
  sign.textContent = running ? "❚❚" : "▶"
  word.textContent = running ? "Pause" : "Run"
}

const handlers = {
  status(status) {
    running = status.running
    one("#epochs").textContent = status.epoch.toLocaleString("en")
    one("#steps").textContent = status.steps.toLocaleString("en")
    one("#train").textContent = number(status.train)
    one("#test").textContent = number(status.test)
    one("#right").textContent = [status.right, status.right_test].map(percent).join(" · ")
    showRun()
    if (status.trouble) handlers.said(status.trouble)
  },
  said(text) {
    one("#said").textContent = text
    one("#said").hidden = !text
  },
  settings(settings) {
    current = settings
    for (const field of all("[name]:not([data-typed])")) {
      const value = settings[field.name]
      if (field.type === "checkbox") field.checked = value
      else field.value = Array.isArray(value) ? value.join(", ") : value
    }
    for (const box of all("[data-name=features] input")) box.checked = settings.features.includes(box.value)
    const used = {momentum: ["momentum", "nesterov"], decay: ["rmsprop"], beta1: ["adam", "adamw"], beta2: ["adam", "adamw"], weight_decay: ["adamw"]}
    for (const [name, optimizers] of Object.entries(used)) one(`[data-for=${name}]`).hidden = !optimizers.includes(settings.optimizer)
    one("[data-for=strength]").hidden = settings.penalty === "none"
    one("#columns").hidden = settings.data !== "table"
    for (const name of ["noise", "rows"]) one(`[data-for=${name}]`).hidden = settings.data === "table"
  },
  classes(names) {
    const colours = ["#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442"]
    one("#classes").replaceChildren(...names.map((name, k) => {
      const label = document.createElement("span"), swatch = document.createElement("span")
      swatch.className = "swatch"
      swatch.style.background = colours[k % colours.length]
      label.append(swatch, name)
      return label
    }))
    const chosen = one("#target-class").selectedIndex
    one("#target-class").replaceChildren(...names.map((name, k) => new Option(name, k, false, k === chosen)))
    one("#of-class").hidden = !names.length
    one("#of-number").hidden = !!names.length
    sendMouse()
  },
  window(key) {
    storage.window = key
  },
  columns({names, chosen}) {
    one("[name=data] [value=table]").disabled = false
    for (const [k, list] of all("[data-column]").entries()) {
      list.replaceChildren(...names.map((name) => new Option(name, name)))
      list.value = chosen[k]
    }
  },
  selected(row) {
    selected = row
  },
  numbers({row, html}) {
    if (!("typed" in one("#row").dataset)) one("#row").value = row
    const at = one("#numbers").scrollTop
    one("#numbers").innerHTML = html
    one("#numbers").scrollTop = at
  },
  report(text) {
    one("#report").textContent = text
  },
  starts(text) {
    one("#starts-said").textContent = text || said_of_starts
  },
  text(text) {
    one("#again").textContent = `vecprop playground ${current.data === "table" ? "TABLE " : ""}--open "${text}"`
    one("#text").value = text
  },
  file({name, type, content}) {
    const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0))
    save(name, new Blob([bytes], {type}))
  },
  weight(edge) {
    weight = edge
    one("#weight").hidden = !edge
    one("#no-weight").hidden = !!edge
    if (!edge) return
    one("#weight").dataset.index = edge.index
    one("#weight-name").textContent = edge.name // as in the gradient check
    const fields = all("#weight input").filter((field) => !field.matches("[type=range]:active, [type=number]:focus"))
    for (const field of fields) field.value = Number(edge.value.toPrecision(6)) // not the field being edited
  },
  frame(frame) {
    const painted = () => requestAnimationFrame(() => send("painted", {frame}))
    if (one("#speed").value === "slow") setTimeout(painted, 250)
    else painted()
  },
}
const save = (name, blob) => {
  const link = document.createElement("a")
  link.href = URL.createObjectURL(blob)
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
}
shown.connect(shown.properties.data.change, () => {
  asked = 0
  one("#waits").hidden = true
  const answer = JSON.parse(shown.data.message[0]), ran = running
  for (const [name, value] of Object.entries(answer)) handlers[name]?.(value)
  if (told || (ran && !running)) { // report the result to screen readers
    const about = {point: answer.point, weight: weight && `${one("#weight-name").textContent}: ${number(weight.value)}`}[told]
    const status = all("#status div").map((part) => [...part.children].map((child) => child.textContent).join(" "))
    one("#spoken").textContent = [about, ...status].filter((part) => part).join(", ")
    told = ""
  }
})

// User actions.

let told = "" // what the next answer tells screen readers about: "point", "weight" or "status"
const act = (action, values, about = "") => {
  handlers.said("")
  told ||= about
  send(action, values)
}
one("#run").addEventListener("click", () => act(running ? "pause" : "run"))
for (const button of all("[data-do]")) button.addEventListener("click", () => act(button.dataset.do, {}, "status"))
one("#speed").addEventListener("change", (event) => act("speed", {epochs: Number(event.target.value) || 1}))

// Return whether all fields have a number; otherwise show a message.
const hold = (...fields) => {
  const empty = fields.find((field) => field.value === "")
  if (empty) handlers.said(`${(empty.ariaLabel ?? empty.labels[0].textContent).trim()} must be a number.`)
  return !empty
}

const values = {
  number: (field) => (field.value === "" ? null : Number(field.value)),
  list: (field) => field.value.split(/[\s,;]+/).filter((part) => part).map((part) => (Number.isFinite(Number(part)) ? Number(part) : part)),
  flag: (field) => field.checked,
}
for (const field of all("[name], #row")) field.addEventListener("input", () => { field.dataset.typed = "" }) // answers do not overwrite this field
for (const field of all("[name]")) field.addEventListener("change", () => {
  delete field.dataset.typed
  const value = (values[field.dataset.kind] ?? ((field) => field.value))(field)
  act("change", {settings: {[field.name]: value}})
})
one("[data-name=features]").addEventListener("change", () => {
  act("change", {settings: {features: all("[data-name=features] input:checked").map((box) => box.value)}})
})
one("#fewer").addEventListener("click", () => act("change", {settings: {layers: current.layers.slice(0, -1)}}))
one("#more").addEventListener("click", () => act("change", {settings: {layers: [...current.layers, current.layers.at(-1) ?? 4]}}))
one("#controls").addEventListener("submit", (event) => event.preventDefault())

const sendMap = () => act("map", {smooth: one("#smooth").checked, test: one("#show-test").checked})
for (const box of ["#smooth", "#show-test"]) one(box).addEventListener("change", sendMap)
const sendMouse = () => {
  const field = one(one("#of-number").hidden ? "#target-class" : "#target-number")
  if (hold(field)) send("mouse", {adds: one("#adds").checked, target: Number(field.value)})
}
for (const field of ["#adds", "#target-class", "#target-number"]) one(field).addEventListener("change", () => {
  handlers.said("")
  sendMouse()
})

for (const field of all("#weight input")) field.addEventListener("input", () => {
  for (const other of all("#weight input")) if (other !== field) other.value = field.value
  if (field.value !== "") act("weight", {index: Number(one("#weight").dataset.index), value: Number(field.value)})
})
for (const field of all("#weight input")) field.addEventListener("blur", () => handlers.weight(weight))
one("#weight").addEventListener("submit", (event) => event.preventDefault())

// Tabs.

const tabs = all("[role=tab]")
const openTab = (tab) => {
  for (const each of tabs) {
    const chosen = each === tab
    each.setAttribute("aria-selected", chosen)
    each.tabIndex = chosen ? 0 : -1
    one(`#panel-${each.dataset.tab}`).hidden = !chosen
  }
  send("tab", {tab: tab.dataset.tab})
}
for (const [k, tab] of tabs.entries()) {
  tab.addEventListener("click", () => openTab(tab))
  tab.addEventListener("keydown", (event) => {
    const step = {ArrowRight: 1, ArrowLeft: -1}[event.key]
    if (step) {
      const next = tabs[(k + step + tabs.length) % tabs.length]
      next.focus()
      openTab(next)
    }
  })
}
one("#row").addEventListener("change", (event) => {
  delete event.target.dataset.typed
  if (hold(event.target)) act("row", {row: Number(event.target.value)})
})
one("#check").addEventListener("click", () => {
  handlers.report("…")
  act("check")
})
one("#start-many").addEventListener("click", () => {
  const [count, epochs] = [one("#count"), one("#epochs-of-starts")]
  if (!hold(count, epochs)) return
  handlers.starts("…")
  act("starts", {count: Number(count.value), epochs: Number(epochs.value)})
})

// Rotate the hidden space by mouse or automatically.

let from = null
one("#turn").addEventListener("pointerdown", (event) => {
  from = [event.clientX, event.clientY]
  one("#turn").setPointerCapture(event.pointerId)
})
one("#turn").addEventListener("pointermove", (event) => {
  if (!from) return
  send("turn", {around: (event.clientX - from[0]) / 120, up: (event.clientY - from[1]) / 120})
  from = [event.clientX, event.clientY]
})
for (const kind of ["pointerup", "pointercancel"]) one("#turn").addEventListener(kind, () => { from = null })
setInterval(() => {
  if (one("#turns").checked && !one("#panel-hidden").hidden) send("turn", {around: 0.03, up: 0})
}, 60)

// Files.

for (const button of all("[data-take]")) button.addEventListener("click", () => act("take", {what: button.dataset.take}))
one("#picture").addEventListener("click", () => {
  const map = figures.find((figure) => figure.name === "map")
  Bokeh.index.find_one(map).export("png").canvas.toBlob((blob) => save("playground.png", blob))
})
one("#open").addEventListener("click", () => act("open", {text: one("#text").value}))
one("#upload").addEventListener("click", (event) => { event.target.value = "" }) // lets the user choose the same file again
one("#upload").addEventListener("change", (event) => {
  const file = event.target.files[0]
  if (!file) return
  if (file.size > most_bytes) return handlers.said(`${file.name} has ${file.size.toLocaleString("en")} bytes, but the limit is ${most_bytes.toLocaleString("en")}.`)
  const reader = new FileReader()
  reader.onload = () => act("upload", {name: file.name, content: reader.result.slice(reader.result.indexOf(",") + 1)})
  reader.onerror = () => handlers.said(`${file.name} cannot be read.`)
  reader.readAsDataURL(file)
})
for (const list of all("[data-column]")) list.addEventListener("change", () => {
  act("change", {settings: {columns: all("[data-column]").map((list) => list.value)}})
})

// Keys.

let selected = null // the selected point
const remove = () => {
  if (selected !== null) act("remove", {row: selected}, "status")
  selected = null
}
const keys = {" ": () => one("#run").click(), s: () => act("step"), e: () => act("epoch"), r: () => act("restart"), Delete: remove}
document.addEventListener("keydown", (event) => {
  const at = event.target
  if (lost || event.ctrlKey || event.metaKey || event.altKey || at.closest?.("input, select, textarea")) return
  if (event.key === " " && at.closest?.("button, summary")) return // space presses the button
  const action = keys[event.key]
  if (action) {
    event.preventDefault()
    action()
  }
})

const arrows = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1]}
const onKeys = (picture, onArrow, onEnter) => one(picture).addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in arrows || event.key === "Enter")) return
  event.preventDefault()
  if (event.key === "Enter") onEnter?.()
  else onArrow(...arrows[event.key], event.shiftKey)
})
onKeys(".square", (right, up, moves) => act("walk", {right, up, moves}, "point"), () => {
  one("#tab-numbers").click()
  one("#numbers").focus()
})
onKeys(".wide", (right, up, isLarge) => {
  if (right) act("choose", {step: right}, "weight")
  else if (weight) act("weight", {index: weight.index, value: weight.value + up * (isLarge ? 1 : 0.1)}, "weight")
}, () => one("#weight [type=number]").focus())
onKeys("#turn", (right, up) => send("turn", {around: right / 10, up: up / 10}))
for (const {el, canvas_view} of figures.map((figure) => Bokeh.index.find_one(figure))) {
  el.ariaHidden = true // the element around it has a name and the focus
  canvas_view.events_el.removeAttribute("tabindex")
}

// Figures use the text color of the page.

const dark = matchMedia("(prefers-color-scheme: dark)")
const colour = () => {
  const ink = getComputedStyle(document.body).color
  for (const figure of figures) {
    for (const axis of [...figure.left, ...figure.below]) {
      Object.assign(axis, {major_label_text_color: ink, axis_label_text_color: ink, axis_line_color: ink, major_tick_line_color: ink, minor_tick_line_color: null})
    }
    for (const grid of [...figure.center, ...figure.right]) if ("label_text_color" in grid) grid.label_text_color = ink
    for (const {name, glyph} of figure.renderers) {
      if (name === "ground") glyph.global_alpha = dark.matches ? 0.6 : 1
      if (name === "ink") for (const part of ["line_color", "text_color"]) if (part in glyph) glyph[part] = ink
    }
  }
}
dark.addEventListener("change", colour)
colour()

// Handle a server that is busy or unreachable.

let lost = false
setInterval(() => {
  if (asked && !lost && performance.now() - asked > 5_000) one("#waits").hidden = false
}, 1_000)
shown.document.on_event("connection_lost", () => {
  lost = true
  running = one("#turns").checked = false
  showRun()
  one("#waits").hidden = true
  handlers.said("")
  one("#lost").hidden = false
  one("main").inert = true
  for (const control of all("button, input, select, textarea")) control.disabled = true
  setInterval(async () => {
    const answer = await fetch("static/js/bokeh.min.js", {method: "HEAD"}).catch(() => null)
    if (!answer?.ok) return
    lost = false
    location.reload()
  }, 2_000)
})
addEventListener("beforeunload", (event) => {
  if (lost) event.preventDefault() // asks for confirmation, because the page cannot be reloaded
})

one("[name=data] [value=table]").disabled = true // until a table is loaded
for (const button of all("header button")) button.disabled = false
send("ready", {window: storage.window})
