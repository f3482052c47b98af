export PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 PAGER=less EDITOR=vi
# A getty on the serial port knows nothing better than vt102; what shows it is an xterm.
case $TERM in '' | vt102) export TERM=xterm-256color ;; esac
PS1="[\u@\h \W]# "
HISTSIZE=1000 HISTCONTROL=ignoreboth
alias ls='ls --color=auto' ll='ls -l'
