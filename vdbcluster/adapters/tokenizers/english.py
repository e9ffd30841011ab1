"""English words that tell nothing of what a text is about.

Closed classes (articles, pronouns, prepositions, conjunctions, auxiliaries, numerals), and the
verbs, adverbs and adjectives that only carry others. The usual long lists also hold ``computer``,
``microsoft``, ``fire`` or ``system``, which are what a cluster may be about.
"""

from __future__ import annotations

_DETERMINERS = """
a an the this that these those each every either neither some any no none all both half such
what which whatever whichever another other others same own several many much more most few fewer
fewest little less least enough various certain else
"""
_PRONOUNS = """
i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself
she her hers herself it its itself they them their theirs themselves one ones oneself who whom
whose whoever whomever someone somebody something anyone anybody anything everyone everybody
everything nobody nothing noone thee thou thy ye yall
"""
_PREPOSITIONS = """
according about above across after against along alongside amid amidst among amongst around as at
before behind below beneath beside besides between beyond by concerning despite down during except
for from in inside into like near of off on onto out outside over past per regarding since than
through throughout thru till to toward towards under underneath until unto up upon versus via vs
with within without
"""
_CONJUNCTIONS = """
and or nor but yet so if unless although though because whereas while whilst whether lest provided
hence thus therefore however moreover furthermore nevertheless nonetheless otherwise
"""
_AUXILIARIES = """
am is are was were be been being do does did doing done have has had having can could may might
must shall should will would ought cannot need needs needed dare used
"""
_CONTRACTIONS = """
aint arent cant couldnt couldve didnt doesnt dont hadnt hasnt havent hed hes hows id im isnt itd
itll its ive lets mightnt mustnt shes shouldnt shouldve thats theres theyd theyll theyre theyve
wasnt werent weve whats wheres whos wont wouldnt wouldve youd youll youre youve
don didn doesn isn aren wasn weren hasn haven hadn couldn wouldn shouldn mustn ll ve re
gonna gotta wanna kinda sorta dunno lemme gimme cuz coz tho pls plz
"""
_ADVERBS = """
again ago ahead almost alone already also altogether always anyhow anymore anyway anyways anywhere
apart aside away back barely basically certainly clearly completely currently definitely
directly elsewhere entirely especially even ever everywhere exactly extremely fairly far finally
first firstly forth forward frequently fully further generally greatly hardly here hereby herein
highly hopefully how immediately indeed instead just largely last lastly lately later likely mainly
maybe meanwhile merely mostly namely nearly necessarily never next normally not now nowadays nowhere
obviously occasionally often once only originally perhaps please possibly presumably previously
probably properly quickly quite rarely rather readily really reasonably recently relatively
respectively right roughly second secondly seemingly simply slightly somehow sometime sometimes
somewhat somewhere soon specifically still strongly suddenly supposedly sure surely then there
thereafter thereby therein thereof third thoroughly today together tomorrow tonight too totally
truly twice typically ultimately approximately alright unfortunately usually very well when
whenever where whereby wherein whereupon wherever why widely yesterday actually absolutely
literally constantly easily
"""
_LIGHT_VERBS = """
allow allows allowed become becomes became becoming begin begins began bring brings brought come
comes came coming consider considered contain contains continue continues follow follows following
get gets getting got gotten give gives gave given giving go goes going gone went happen happens
happened include includes included including involve keep keeps kept know knows knew known knowing
let lets letting look looks looked looking make makes made making mean means meant put puts putting
require requires required say says said saying see sees saw seen seeing seem seems seemed seeming
show shows showed shown start starts started take takes took taken taking tell tells told telling
tend tends think thinks thought thinking try tries tried trying turn turns turned use uses using
want wants wanted wanting wonder wondering hope hoping guess suppose believe ask asks asked asking
feel feels felt find finds found finding appear appears appeared remain remains cause causes caused
"""
_ADJECTIVES = """
able available actual bad best better big certain current different due early entire final full
general good great high important interested large late latest likely long low main major new nice
old particular possible previous ready real recent short similar simple single small specific
former sure true unable unlikely useful usual whole worse worst wrong
"""
_NOUNS = """
amount bit case course example fact idea instance kind lot lots matter number part place plenty
point reason sort stuff guys thing things time times type types vol way ways
"""
_NUMERALS = """
zero two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty hundred
thousand million billion fourth fifth sixth tenth
"""
_ABBREVIATIONS = """
eg ie etc et al re mr mrs ms dr st nd rd th am pm jan feb mar apr jun jul aug sep sept oct nov dec
mon tue tues wed thu thur thurs fri sat
monday tuesday wednesday thursday friday saturday sunday
oh ok okay ah hmm um uh huh lol btw imho imo fyi yeah yep
"""

FUNCTION_WORDS = frozenset(
    " ".join(
        (
            _DETERMINERS,
            _PRONOUNS,
            _PREPOSITIONS,
            _CONJUNCTIONS,
            _AUXILIARIES,
            _CONTRACTIONS,
            _ADVERBS,
            _LIGHT_VERBS,
            _ADJECTIVES,
            _NOUNS,
            _NUMERALS,
            _ABBREVIATIONS,
        )
    ).split()
)
