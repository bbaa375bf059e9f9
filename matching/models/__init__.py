"""Shipped parameters: of learnt scorers, as JSON with the record of their training, and of the language of owners.

`owner_language.json` says how common words are in owner complaints; `owner_words.txt` lists the words they commonly
write and that general English spells so, commonest first. Both were counted over public complaints (NHTSA ODI, US
public domain) without those the scorers are judged on, and without names of makes and models.
"""
