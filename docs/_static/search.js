// Rank the pages of the site. Sphinx's own search needs each word of a query in a page, and ranks a page by its best word.
// Here a page may lack a word, rare words count more, and so do titles, keywords ({index} in the sources) and names.
// A word that no page contains is read as another one: another spelling, its parts, or a word that differs in a letter or two.
"use strict";

const WEIGHTS = { keyword: 10, title: 10, name: 10, section: 6, partialName: 4, text: 1.5 };
const FACTORS = { synonym: 0.5, unfinished: 0.5, weakWord: 0.2, misspelled: 0.7, elsewhere: 0.4 };
const PAGES = [
  [/^(about|guide|(.*\/)?index)$/, 0.5],
  [/^(changes|contributing|genindex)/, 0.4],
  [/^measured\//, 0.3],
  [/^(measured|all-options|glossary)/, 0.5],
  [/^(reference|pictured|coming-from|messages|security)/, 0.8],
];
const WEAK = new Set(
  ("able actually anyone best better bug can case come difference example find fix function get give go good happen help issue " +
    "just keep kind know like look lot make mean method model need new possible problem python question really run say " +
    "see set show something still support supported tell thing try understand use used using value vecprop want way whether " +
    "will work working works yet").split(" "),
);
const SYNONYMS = [
  "abort cancel interrupt kill stop",
  "attribute column covariate feature predictor variable",
  "check correct right test validate verify wrong",
  "chart draw figure graph picture plot visualize",
  "core cpu multiprocessing parallel processor thread",
  "cost loss objective",
  "custom own user-defined",
  "data dataset table",
  "delete drop exclude ignore remove",
  "deterministic repeatable reproducible",
  "dump export persist save store write",
  "error exception failure message warning",
  "example instance observation record row sample",
  "explain interpret",
  "fast performance quick slow speed",
  "fit train",
  "imbalanced minority rare unbalanced",
  "label outcome response target",
  "load open read restore",
  "many multiple several",
  "missing nan null none na",
  "neuron node unit",
  "optimize search select tune",
  "parameter weight coefficient",
  "predict infer inference score",
].map((line) => line.split(" "));
const SHORT = Object.fromEntries(
  ("acc accuracy; act activation; ann network; backprop backpropagation; bn batch normalization; bp backpropagation; ci confidence interval; " +
    "config settings; cv cross-validation; ddp distributed training; df data frame; dir folder; directory folder; hparams hyperparameters; " +
    "hpo hyperparameter search; hyperparams hyperparameters; init initialization; lr learning rate; mac macos; nn network; params parameters; " +
    "prob probability; proba probabilities; probs probabilities; reg regularization; timeseries time series; val validation; vis plot")
    .split("; ").map((line) => [line.slice(0, line.indexOf(" ")), line.slice(line.indexOf(" ") + 1)]),
);
const SPELLINGS = [ // British to American
  [/is(e[ds]?|ers?|ing|ations?|able)$/, "iz$1"], [/ys(e[ds]?|ers?|ing)$/, "yz$1"], [/our/, "or"], [/ll(ed|ing|ers?)$/, "l$1"],
  [/tre(s?)$/, "ter$1"], [/ogue(s?)$/, "og$1"], [/ence$/, "ense"],
];

const stemmer = new Stemmer();
const wordsOf = (text) => splitQuery(text.toLowerCase()).map((word) => [word, stemmer.stemWord(word)]);
const partsOf = (name) =>
  name.replace(/([a-z0-9])([A-Z])/g, "$1 $2").replace(/([A-Z]+)([A-Z][a-z])/g, "$1 $2").replaceAll("_", " "); // LayerNorm: Layer Norm
const GROUPS = new Map(); // stem -> stems of its synonyms
for (const group of SYNONYMS) {
  const stems = group.map((word) => stemmer.stemWord(word));
  for (const stem of stems) GROUPS.set(stem, [...(GROUPS.get(stem) || []), ...stems.filter((other) => other !== stem)]);
}

let entries = null; // the titles, sections, keywords and names
let vocabulary = null; // word or stem in one of them -> its stem
const collect = () => {
  const { alltitles, titles, indexentries, objects, objnames } = Search._index;
  entries = [];
  vocabulary = new Map();
  const add = (text, page, weight, anchor, shown, keyword = null) => {
    const words = wordsOf(text);
    for (const [word, stem] of words) vocabulary.set(word, stem).set(stem, stem);
    const useful = words.filter(([word]) => !stopwords.has(word));
    const stems = (useful.length ? useful : words).map(([, stem]) => stem);
    entries.push({ stems, page, weight, anchor, shown, keyword });
  };
  for (const [title, places] of Object.entries(alltitles))
    for (const [page, id] of places) {
      const own = titles[page] === title;
      add(title, page, own ? WEIGHTS.title : WEIGHTS.section, own || id === null ? "" : "#" + id, own ? title : `${titles[page]} > ${title}`);
    }
  for (const [entry, places] of Object.entries(indexentries))
    for (const [page, id] of places)
      if (!/\(.*vecprop/.test(entry) && !/^vecprop\.|^module$/.test(entry))
        add(entry, page, WEIGHTS.keyword, id === "index-0" ? "" : "#" + id, titles[page], id === "index-0" ? null : entry);
  for (const [prefix, items] of Object.entries(objects))
    for (const [page, kind, , anchor, name] of items) {
      const full = prefix ? `${prefix}.${name}` : name;
      const id = anchor === "" ? full : anchor === "-" ? `${objnames[kind][1]}-${full}` : anchor;
      const own = titles[page].toLowerCase() === full.toLowerCase() || titles[page] === name;
      for (const text of new Set([name, partsOf(name)]))
        add(text, page, own ? WEIGHTS.name : WEIGHTS.partialName, own ? "" : "#" + id, own ? titles[page] : full);
    }
};

// The number of letters to insert, delete, replace or swap, or a number above the limit.
const distance = (a, b, limit) => {
  if (Math.abs(a.length - b.length) > limit) return limit + 1;
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    rows.push([i]);
    for (let j = 1; j <= b.length; j++) {
      rows[i][j] = Math.min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) rows[i][j] = Math.min(rows[i][j], rows[i - 2][j - 2] + 1);
    }
    if (Math.min(...rows[i]) > limit) return limit + 1;
  }
  return rows[a.length][b.length];
};

const pagesWith = (stem) => (Object.hasOwn(Search._index.terms, stem) ? [Search._index.terms[stem]].flat() : []);
const isKnown = (word) => {
  const stem = stemmer.stemWord(word);
  return vocabulary.has(word) || vocabulary.has(stem) || GROUPS.has(stem) || pagesWith(stem).length > 0;
};

const nearest = (word) => {
  const limit = word.length < 5 || /\d/.test(word) ? 0 : word.length < 9 ? 1 : 2;
  let [best, least] = [null, limit + 0.9];
  const look = (other, stem, extra) => {
    const far = distance(word, other, limit) + extra + (word[0] === other[0] ? 0 : 0.5);
    if (far < least) [best, least] = [stem, far];
  };
  for (const [other, stem] of vocabulary) look(other, stem, 0);
  for (const stem of Object.keys(Search._index.terms)) look(stem, stem, 0.3);
  return best;
};

// Return the words of a query as [word, stem], each known to some page if possible.
const read = (query) => {
  const found = [];
  for (const token of splitQuery(query)) {
    const word = token.toLowerCase();
    const parts = vocabulary.has(word) ? [] : splitQuery(partsOf(token).toLowerCase());
    if (Object.hasOwn(SHORT, word)) found.push(...wordsOf(SHORT[word]));
    else if (stemmer.stemWord(word) === word && word.endsWith("s") && vocabulary.has(word.slice(0, -1)))
      found.push([word, word.slice(0, -1)]); // GPUs
    else if (parts.length > 1 && parts.every(isKnown)) found.push(...read(parts.join(" ")));
    else if (isKnown(word)) found.push([word, stemmer.stemWord(word)]);
    else {
      const spelled = SPELLINGS.map(([from, to]) => word.replace(from, to)).find((other) => other !== word && isKnown(other));
      const isCut = (at) => at > 2 && at < word.length - 2 && vocabulary.has(word.slice(0, at)) && vocabulary.has(word.slice(at));
      const cut = Array.from(word).findIndex((_, at) => isCut(at));
      if (spelled) found.push([spelled, stemmer.stemWord(spelled)]);
      else if (cut > 0) found.push(...wordsOf(`${word.slice(0, cut)} ${word.slice(cut)}`));
      else found.push([word, null]);
    }
  }
  return found;
};

const rank = (query) => {
  if (entries === null) collect();
  const { docnames, filenames, titles, terms } = Search._index;
  const all = read(query);
  const useful = all.filter(([word]) => !stopwords.has(word) && word.length > 1);
  const words = useful.length ? useful : all;
  const asked = words.flatMap(([word, stem], place) => {
    const typing = place === words.length - 1 && word.length > 2; // the last word may be unfinished
    let pages = new Set(stem === null ? [] : pagesWith(stem));
    if (typing && !pages.size)
      for (const term of Object.keys(terms)) if (term.startsWith(word)) pagesWith(term).forEach((page) => pages.add(page));
    let weight = WEAK.has(word) ? FACTORS.weakWord : 1;
    if (stem === null && !pages.size && !(typing && [...vocabulary.keys()].some((other) => other.startsWith(word)))) {
      stem = nearest(word);
      if (stem === null) return [];
      pages = new Set(pagesWith(stem));
      weight *= FACTORS.misspelled;
    }
    const rarity = Math.log(1 + docnames.length / (1 + pages.size)) * weight;
    return [{ word, stem, typing, pages, rarity, others: GROUPS.get(stem) || [] }];
  });
  const total = asked.reduce((sum, { rarity }) => sum + rarity, 0);
  const found = new Map(); // page -> { scores by word, the best place in it }
  const pageOf = (page) => {
    if (!found.has(page)) found.set(page, { scores: asked.map(() => 0), place: null, most: 0, bonus: 0 });
    return found.get(page);
  };
  for (const { stems, page, weight, anchor, shown, keyword } of entries) {
    let [sum, met, rest] = [0, 0, stems.length];
    asked.forEach(({ word, stem, typing, rarity, others }, number) => {
      const exact = stems.includes(stem);
      const isBegun = typing && stems.some((other) => other.startsWith(word));
      if (!exact && !isBegun && !others.some((other) => stems.includes(other))) return;
      const share = (exact ? 1 : isBegun ? FACTORS.unfinished : FACTORS.synonym) / Math.sqrt(Math.max(1, stems.length / asked.length));
      const scores = pageOf(page).scores;
      scores[number] = Math.max(scores[number], weight * share);
      sum += rarity * weight * share;
      if (exact) [met, rest] = [met + rarity, rest - 1];
    });
    if (!sum) continue;
    const place = pageOf(page);
    if (met) place.bonus = Math.max(place.bonus, 2 * weight * met * (met / total) * (1 - Math.max(0, rest) / stems.length) ** 2);
    if (sum > place.most) Object.assign(place, { most: sum, place: { anchor, shown, keyword } });
  }
  asked.forEach(({ pages }, number) => {
    for (const page of pages) pageOf(page).scores[number] += WEIGHTS.text;
  });
  return [...found].map(([page, { scores, place, most, bonus }]) => {
    const met = asked.reduce((sum, { rarity }, number) => sum + (scores[number] ? rarity : 0), 0) / total;
    const [, factor] = PAGES.find(([pattern]) => pattern.test(docnames[page])) || [null, 1];
    const sum = asked.reduce((before, { rarity }, number) => before + rarity * scores[number], 0);
    const score = ((most + FACTORS.elsewhere * (sum - most)) * met * met + bonus) * factor; // words of one entry count more
    const { anchor, shown, keyword } = place || { anchor: "", shown: titles[page], keyword: null };
    return [docnames[page], shown, anchor, keyword, score, filenames[page], "text"];
  });
};

// Sphinx shows results from the last to the first. Without this method, its own search stays.
if (typeof Search !== "undefined" && Search._performSearch)
  Search._performSearch = (query) => {
    document.getElementById("search-progress")?.replaceChildren();
    const results = rank(query).sort((a, b) => a[4] - b[4] || b[1].localeCompare(a[1])).slice(-30);
    return results.filter((result, place) => place >= results.length - 5 || result[4] > 0.15 * results.at(-1)[4]);
  };
