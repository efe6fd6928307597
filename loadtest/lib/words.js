// Sentences of common words.
const words = (
  'the a this film story actor scene music plot end day night man woman child city house water light hand life time '
  + 'good bad long short slow fast new old warm cold funny sad dark bright quiet loud strange simple deep thin '
  + 'is was has had makes took gives feels looks seems turns runs falls and but or with without about after before'
).split(' ');

export function sentence(length, random = Math.random) {
  return Array.from({ length }, () => words[Math.floor(random() * words.length)]).join(' ');
}
